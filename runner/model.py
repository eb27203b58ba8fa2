"""The model of a run."""

from __future__ import annotations

from pathlib import Path

import keras

from ..anchors import AnchorSpec
from ..class_names import map_names
from ..models import SSD, pretrained, sample_classes
from ..models.detector import anchors_of, class_names_of, model_of
from ..models.pretrained import DETECTORS
from ..models.ssd import IMAGE_SIZE
from ..models.unallocated import unallocated_weights
from ..networks import backbones_of, find_network
from .config import OF_BACKBONES, RunConfig


def chosen_weights(config: RunConfig) -> str:
    """The weights of a run; None in the description means published ones if there are any."""
    if config.weights is not None:
        return config.weights
    if _published(config) is not None:
        return "coco"
    return "none" if config.model == "ssd7" else "imagenet"


def chosen_anchors(config: RunConfig) -> AnchorSpec | str:
    """The anchors of a run's model, as `check_dataset` takes them."""
    if config.model != "ssd":
        return find_network(config.model).name + (f":{config.size}" if config.size else "")
    with unallocated_weights():
        return anchors_of(_on_backbone(config, "none", num_classes=1))


def build_model(config: RunConfig, class_names: tuple[str, ...], channels: int) -> keras.Model:
    """The model of a run, with its first weights.

    Raises:
        DownloadError: if published weights cannot be downloaded.
        FileNotFoundError: if there is no weight file.
        ValueError: for an unknown network, and as the model functions.
    """
    weights, published = chosen_weights(config), _published(config)
    if weights == "coco" and published is not None:
        return pretrained(
            published, class_names, seed=config.seed, channels=channels, image_size=config.image_size
        )
    if weights.endswith(".keras"):
        return _with_classes(weights, class_names, config.seed)
    if weights not in ("coco", "imagenet", "none") and not Path(weights).exists():
        raise FileNotFoundError(f"weights: {weights}: no such file; or coco, imagenet, none")
    if config.model == "ssd":
        return _on_backbone(config, weights, class_names=class_names, channels=channels)
    return find_network(config.model).function(
        class_names=class_names,
        image_size=config.image_size,
        channels=channels,
        weights=None if weights == "none" else weights,
        **({} if config.backbone is None else {"backbone": config.backbone}),
    )


def _on_backbone(config, weights, channels=3, **options):
    """`SSD` on a network of `keras.applications`, whose ImageNet weights Keras downloads."""
    backbone = getattr(keras.applications, config.backbone)(
        include_top=False,
        weights="imagenet" if weights == "imagenet" else None,
        input_shape=(*(config.image_size or IMAGE_SIZE), channels),
    )
    given = {key: value for key in OF_BACKBONES if (value := getattr(config, key)) is not None}
    weights = None if weights in ("imagenet", "none") else weights
    return SSD(backbone, channels=channels, weights=weights, **given, **options)


def _published(config):
    """Name of the published detector with the network of a run, or None."""
    if config.model == "ssd" or config.backbone not in (None, *backbones_of(config.model)[:1]):
        return None
    name = f"{find_network(config.model).name.replace('-', '_')}_coco"
    return name if name in DETECTORS else None


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
