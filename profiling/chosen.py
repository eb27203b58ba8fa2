"""The model that a command names: a saved one, a published one, or a network with random weights."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import keras

from ..layers.multibox import multibox_layers
from ..messages import did_you_mean
from ..models.detector import as_detector
from ..models.pretrained import DETECTORS, FUNCTIONS, find_model
from ..models.unallocated import unallocated_weights
from ..networks import FORMER_NAMES, NETWORKS, find_network
from ..weights.published import SOURCES

CLASSES = 20  # of a network, as in Pascal VOC


def chosen_model(
    name: str,
    *,
    classes: int | None = None,
    image_size: tuple[int, int] | None = None,
    runs: bool = True,
) -> keras.Model:
    """The model that a command names, with decoding if it is a model of this package.

    Args:
        name: path of a saved model, name of a published one or of a network ("ssd300"). An existing path
            counts first.
        classes: number of classes of a network, background not counted; None: 20. Others have their own.
        image_size: (height, width) of a network in pixels; None: its default. Others have their own.
        runs: whether the model is to run. Otherwise networks and published models have no weights.

    Raises:
        DownloadError: see `pretrained`.
        FileNotFoundError: if it is none of them; lists the names.
        ValueError: for classes or a size of a model that has its own, and as the model functions.
    """
    network = name.replace("_", "-")
    if not Path(name).exists() and (network in NETWORKS or network in FORMER_NAMES):
        with nullcontext() if runs else unallocated_weights():
            count = CLASSES if classes is None else classes
            return find_network(name).function(count, image_size=image_size, mode="inference")
    if classes is not None or image_size is not None:
        raise ValueError(
            f"{name}: number of classes and size are for networks, of which there are {', '.join(NETWORKS)}"
        )
    if not Path(name).exists() and name not in DETECTORS:
        known = (*NETWORKS, *DETECTORS)
        raise FileNotFoundError(
            f"{name}: no such model file, network or published model, of which there are "
            f"{', '.join(known)}{did_you_mean(name, known)}"
        )
    if not runs and not Path(name).exists():
        source = SOURCES[name]
        with unallocated_weights():
            function = FUNCTIONS[source.function]
            return function(class_names=source.class_names[1:], mode="inference", **source.arguments)
    model = find_model(name)
    return as_detector(model) if multibox_layers(model) else model
