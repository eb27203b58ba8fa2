"""The one table of networks: command-line names, model functions and anchors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import anchors, models
from .anchors import AnchorSpec
from .messages import did_you_mean

MIN_SIDE, MAX_SIDE = 32, 4096  # pixels, of a network that takes any input size


@dataclass(frozen=True)
class Network:
    """A network and its default anchors.

    Attributes:
        name: on the command line, with hyphens.
        function: the model function.
        anchors: the default `AnchorSpec`.
        anchors_at: function from (height, width) to the `AnchorSpec` for that input.
    """

    name: str
    function: Callable
    anchors: AnchorSpec
    anchors_at: Callable

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels of the default input."""
        return self.anchors.image_size


NETWORKS = {
    network.name: network
    for network in (
        Network("ssd300", models.SSD300, anchors.SSD300_VOC, anchors.ssd300_anchors),
        Network("ssd512", models.SSD512, anchors.SSD512_VOC, anchors.ssd512_anchors),
        Network("ssdlite", models.SSDLite, anchors.SSDLITE320, anchors.ssdlite_anchors),
        Network(
            "ssd-mobilenet", models.SSDMobileNet, anchors.SSD_MOBILENET_V1, anchors.ssd_mobilenet_anchors
        ),
        Network("ssd7", models.SSD7, anchors.ssd7_anchors((300, 300)), anchors.ssd7_anchors),
    )
}
FORMER_NAMES = {"ssdlite320": "ssdlite"}
# {name: (default AnchorSpec, function from (height, width) to the AnchorSpec for that input)}
_ANCHORS = {
    **{network.name: (network.anchors, network.anchors_at) for network in NETWORKS.values()},
    "ssd300-coco": (
        anchors.SSD300_COCO,
        partial(anchors.ssd300_anchors, scales=anchors.SSD300_COCO_SCALES),
    ),
    "ssd512-coco": (
        anchors.SSD512_COCO,
        partial(anchors.ssd512_anchors, scales=anchors.SSD512_COCO_SCALES),
    ),
}
NAMED_ANCHORS = {name: spec for name, (spec, _) in _ANCHORS.items()}
ANCHOR_NAMES_HELP = f"{', '.join(NAMED_ANCHORS)}; each also for another input, as NAME:HEIGHTxWIDTH"


def find_network(name: str) -> Network:
    """The `Network` of a name; `_` is the same as `-`.

    Raises:
        ValueError: for an unknown name; lists the known ones.
    """
    key = _table_key(name)
    if key not in NETWORKS:
        hint = did_you_mean(key, NETWORKS)
        raise ValueError(f"no network {name!r}; there are {', '.join(NETWORKS)}{hint}")
    return NETWORKS[key]


def named_anchors(name: str) -> AnchorSpec:
    """The `AnchorSpec` of a name: a key of `NAMED_ANCHORS`, or with an input size, such as "ssd7:240x320".

    Args:
        name: `_` is the same as `-`. The size is height x width in pixels.

    Raises:
        ValueError: for an unknown name, a malformed size, a size outside 32 to 4096 pixels, or a size that
            is too small for the network.
    """
    base, colon, size = name.partition(":")
    key = _table_key(base)
    if key not in NAMED_ANCHORS:
        hint = did_you_mean(key, NAMED_ANCHORS)
        raise ValueError(f"no anchors {name!r}; there are {ANCHOR_NAMES_HELP}{hint}")
    spec, anchors_at = _ANCHORS[key]
    return anchors_at(_parse_size(name, size)) if colon else spec


def _table_key(name):
    key = name.replace("_", "-")
    return FORMER_NAMES.get(key, key)


def _parse_size(name, size):
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", size)
    if match is None:
        raise ValueError(f"{name}: expected HEIGHTxWIDTH after the colon, such as 240x320, got {size!r}")
    image_size = int(match[1]), int(match[2])
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in image_size):
        raise ValueError(f"{name}: expected sides of {MIN_SIDE} to {MAX_SIDE} pixels")
    return image_size
