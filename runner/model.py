"""The model of a run."""

from __future__ import annotations

from pathlib import Path

import keras

from ..class_names import map_names
from ..models import pretrained, sample_classes
from ..models.detector import class_names_of, model_of
from ..models.pretrained import DETECTORS
from ..networks import find_network
from .config import RunConfig


def chosen_weights(config: RunConfig) -> str:
    """The weights of a run; None in the description means published ones if there are any."""
    if config.weights is not None:
        return config.weights
    network = find_network(config.model)
    if _detector(network) in DETECTORS:
        return "coco"
    return "none" if network.name == "ssd7" else "imagenet"


def build_model(config: RunConfig, class_names: tuple[str, ...], channels: int) -> keras.Model:
    """The model of a run, with its first weights.

    Raises:
        DownloadError: if published weights cannot be downloaded.
        FileNotFoundError: if there is no weight file.
        ValueError: for an unknown network, and as the model functions.
    """
    network, weights = find_network(config.model), chosen_weights(config)
    if weights == "coco" and _detector(network) in DETECTORS:
        return pretrained(
            _detector(network), class_names, seed=config.seed, channels=channels, image_size=config.image_size
        )
    if weights.endswith(".keras"):
        return _with_classes(weights, class_names, config.seed)
    if weights not in ("coco", "imagenet", "none") and not Path(weights).exists():
        raise FileNotFoundError(f"weights: {weights}: no such file; or coco, imagenet, none")
    return network.function(
        class_names=class_names,
        image_size=config.image_size,
        channels=channels,
        weights=None if weights == "none" else weights,
    )


def _detector(network):
    return f"{network.name.replace('-', '_')}_coco"


def _with_classes(path, class_names, seed):
    """A saved model with the classes of the data; those that it knows keep their weights."""
    model = model_of(path, "weights")
    known = class_names_of(model)
    if known is None:
        raise ValueError(
            f"{path}: the model has no class names; use multibox.sample_classes with class_names="
        )
    found = map_names(class_names, [name for name in known if name])
    return sample_classes(model, class_names, new=[n for n in class_names if found[n] is None], seed=seed)
