"""The one table of networks: command-line names, model functions and anchors.

The table holds names, because a command's help needs neither Keras nor NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .messages import did_you_mean

if TYPE_CHECKING:
    from .anchors import AnchorSpec

MIN_SIDE, MAX_SIDE = 32, 4096  # pixels, of a network that takes any input size


@dataclass(frozen=True)
class NamedAnchors:
    """The anchors of a network for any input.

    Attributes:
        function_name: name of a function of `multibox.anchors` from (height, width) to an `AnchorSpec`.
        image_size: (height, width) in pixels of the default input.
        scales_name: name of its scales in `multibox.anchors`; None: the function's own.
    """

    function_name: str
    image_size: tuple[int, int] = (300, 300)
    scales_name: str | None = None

    def at(self, image_size: tuple[int, int] | None = None) -> AnchorSpec:
        """The `AnchorSpec` for an input of (height, width) pixels. None: the default input."""
        from . import anchors

        scales = () if self.scales_name is None else (getattr(anchors, self.scales_name),)
        return getattr(anchors, self.function_name)(image_size or self.image_size, *scales)


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        name: on the command line, with hyphens.
        function_name: name of the model function.
    """

    name: str
    function_name: str

    @property
    def function(self) -> Callable:
        """The model function."""
        from . import models

        return getattr(models, self.function_name)

    @property
    def anchors(self) -> AnchorSpec:
        """The default `AnchorSpec`."""
        return NAMED_ANCHORS[self.name].at()

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) in pixels of the default input."""
        return NAMED_ANCHORS[self.name].image_size


NETWORKS = {
    name: Network(name, function_name)
    for name, function_name in (
        ("ssd300", "SSD300"),
        ("ssd512", "SSD512"),
        ("ssdlite", "SSDLite"),
        ("ssd-mobilenet", "SSDMobileNet"),
        ("ssd7", "SSD7"),
        ("ssd321", "SSD321"),
        ("ssd513", "SSD513"),
        ("dssd321", "DSSD321"),
    )
}
# Backbones by name: of `SSD` those of keras.applications, of the others their own, the default first.
BACKBONES = {
    "ssd": (
        *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
        *(f"EfficientNetB{i}" for i in range(8)),
        *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
        *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
        *(f"ResNet{layers}{version}" for version in ("", "V2") for layers in (50, 101, 152)),
        *("DenseNet121", "DenseNet169", "DenseNet201"),
        *("VGG16", "VGG19", "Xception", "InceptionV3", "InceptionResNetV2"),
    ),
    "ssdlite": ("mobilenet_v3_large", "mobilenet_v2", *(f"efficientnet_lite{i}" for i in range(3))),
    "ssd-mobilenet": ("mobilenet_v1", "mobilenet_v2"),
}
FORMER_NAMES = {"ssdlite320": "ssdlite"}
NAMED_ANCHORS = {
    "ssd300": NamedAnchors("ssd300_anchors"),
    "ssd512": NamedAnchors("ssd512_anchors", (512, 512)),
    "ssdlite": NamedAnchors("ssdlite_anchors", (320, 320)),
    "ssd-mobilenet": NamedAnchors("ssd_mobilenet_anchors"),
    "ssd7": NamedAnchors("ssd7_anchors"),
    "ssd321": NamedAnchors("ssd321_anchors", (321, 321)),
    "ssd513": NamedAnchors("ssd513_anchors", (513, 513)),
    "dssd321": NamedAnchors("ssd321_anchors", (321, 321)),
    "ssd300-coco": NamedAnchors("ssd300_anchors", scales_name="SSD300_COCO_SCALES"),
    "ssd512-coco": NamedAnchors("ssd512_anchors", (512, 512), "SSD512_COCO_SCALES"),
}
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


def backbones_of(name: str) -> tuple[str, ...]:
    """The names of a network's backbones, the default first. "ssd" has no default. `_` is as `-`."""
    return BACKBONES.get(_table_key(name), ())


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
    return NAMED_ANCHORS[key].at(_parse_size(name, size) if colon else None)


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
