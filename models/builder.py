"""`build_ssd`, which every model function uses: backbone, heads, joined predictions."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from ..anchors import AnchorSpec, as_spec, image_hw, paper_anchors
from ..arguments import check_bounds
from ..class_names import check_names
from ..data_generator.pixels import checked_pixels
from ..layers import ImageNormalization, MultiBox
from ..limits import NUM_CLASSES
from ..messages import did_you_mean
from ..weights.loading import load_weights
from .detector import to_inference

# Options of `to_inference`; "top_k" is the former name of max_detections.
MODEL_ARGUMENTS = ("num_classes", "class_names", "mode", "anchors", "weight_decay", "weights")
DECODING = {*inspect.signature(to_inference).parameters, "top_k"} - {"model"}


class Request(NamedTuple):
    """The arguments that all model functions have.

    Attributes:
        num_classes: number of object classes, background not counted; None: length of `class_names`.
        class_names: names of the classes 1, 2, ..., or None.
        mode: "training" or "inference".
        weights: None, the path of a weight file, "imagenet" or "coco", see `load_weights`.
        decoding: options of `to_inference`, for mode "inference".
        channels: number of channels of the images.
    """

    num_classes: int | None
    class_names: Sequence[str | None] | None
    mode: str
    weights: str | os.PathLike[str] | None
    decoding: Mapping[str, Any]
    channels: int = 3


def choose_anchors(
    name: str,
    image_size: Sequence[int] | None,
    anchors: AnchorSpec | None,
    default_size: tuple[int, int],
    anchors_at: Callable[[tuple[int, int]], AnchorSpec],
) -> AnchorSpec:
    """The `AnchorSpec` that a model function was asked for.

    Args:
        name: name of the model, for messages.
        image_size: (height, width) of the input, or None.
        anchors: an `AnchorSpec` that was passed, or None.
        default_size: (height, width) if neither is given.
        anchors_at: function from (height, width) to the network's anchors for that input.

    Raises:
        ValueError: if image_size is not that of the anchors, or is too small for the network.
    """
    if anchors is None:
        return anchors_at(default_size if image_size is None else image_hw(image_size))
    anchors = as_spec(anchors)
    if image_size is not None:
        check_size(name, image_size, anchors)
    return anchors


def check_size(name: str, image_size: Sequence[int], anchors: AnchorSpec) -> None:
    """Raises ValueError if image_size, (height, width), is not that of the anchors."""
    size = as_spec(anchors).image_size
    if size != image_hw(image_size):
        raise ValueError(
            f"{name}: image_size is {image_size}, but the anchors are for {size}; leave image_size out, or "
            "pass anchors for it"
        )


def build_ssd(name, backbone, head, pixels, anchors, request, activation="softmax", image_size=None):
    """Builds a detector as a plain functional `keras.Model`.

    Args:
        name: name of the model.
        backbone: function from the normalized image tensor to {source name: feature map}, fine to coarse.
        head: function (feature map, channels, name) that returns the head's output, which has the rows and
            columns of the feature map.
        pixels: arguments of `ImageNormalization` for RGB.
        anchors: an `AnchorSpec`; its image_size becomes the input size of the model. None: the paper's for
            the feature maps.
        request: a `Request`.
        activation: "softmax" or "sigmoid", see `MultiBox`.
        image_size: (height, width) of the input if anchors is None.

    Raises:
        TypeError: for an unknown argument, or if num_classes is not a whole number.
        FileNotFoundError: if the weight file does not exist.
        ValueError: for an unknown activation, if num_classes is not from 1 to 10,000, if the number
            of class names is not num_classes, if the anchors do not fit the feature maps, for a number of
            channels that cannot be, or if Keras' image data format is channels_first.
    """
    if anchors is not None:
        anchors = as_spec(anchors)
        image_size = anchors.image_size
    _check_decoding(name, request.mode, request.decoding)
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(f'{name}: needs keras.config.set_image_data_format("channels_last")')
    num_classes = _count_classes(name, request.num_classes, request.class_names)
    channels = checked_pixels(name, request.channels, None).channels
    image = keras.Input((*image_size, channels), name="image")
    normalize = ImageNormalization(**{"name": "normalization", **_for_channels(pixels, channels)})
    sources = backbone(normalize(image))
    if anchors is None:
        anchors = paper_anchors(image_size, [tuple(features.shape[1:3]) for features in sources.values()])
    if len(sources) != len(anchors.levels):
        raise ValueError(
            f"{name}: the anchor spec has {len(anchors.levels)} levels, the model {len(sources)} feature "
            f"maps ({', '.join(sources)})"
        )
    offsets, logits = [], []
    for (source, features), level in zip(sources.items(), anchors.levels, strict=True):
        if level.grid != (grid := tuple(features.shape[1:3])):
            raise ValueError(
                f"{name}: the feature map {source} has {grid[0]}x{grid[1]} cells, but its level of the "
                f"anchors {level.grid[0]}x{level.grid[1]}"
            )
        sides = len(level.sides)
        offsets.append(head(features, sides * 4, f"{source}_mbox_loc"))
        logits.append(head(features, sides * (1 + num_classes), f"{source}_mbox_conf"))
    multibox = MultiBox(anchors, num_classes, activation, request.class_names, name="predictions")

    model = keras.Model(image, multibox(offsets, logits), name=name)
    if request.weights is not None:
        load_weights(model, request.weights)
    return to_inference(model, **request.decoding) if request.mode == "inference" else model


def _for_channels(pixels, channels):
    """The arguments of `ImageNormalization`; channels other than RGB have the mean of the three numbers."""
    lists = {key: pixels[key] for key in ("mean", "scale") if len(np.shape(pixels.get(key, 0))) == 1}
    if channels == 3:
        return pixels
    return pixels | {key: _extended(numbers, channels) for key, numbers in lists.items()}


def _extended(numbers, channels):
    if len(numbers) == channels:
        return [*numbers]
    colors = numbers if channels > 3 else []
    return [*colors, *[sum(numbers) / len(numbers)] * (channels - len(colors))]


def _check_decoding(name, mode, decoding):
    if unknown := decoding.keys() - DECODING:
        options = sorted(DECODING - {"top_k"})
        hint = did_you_mean(sorted(unknown)[0], (*MODEL_ARGUMENTS, *options))
        raise TypeError(
            f"{name}: unknown arguments {', '.join(sorted(unknown))}; expected arguments of the model or "
            f"options of to_inference: {', '.join(options)}{hint}"
        )
    if decoding and mode == "training":
        raise ValueError(f'{name}: {", ".join(sorted(decoding))} only apply to mode="inference"')


def _count_classes(name, num_classes, class_names):
    """The number of classes from either argument, after checking both."""
    if num_classes is None:
        if class_names is None:
            raise TypeError(f"{name}: expected num_classes or class_names")
        num_classes = len(class_names)
    check_bounds(f"{name}: num_classes", num_classes, NUM_CLASSES)
    if class_names is not None:
        check_names(class_names, num_classes, owner=name)
    return int(num_classes)


def l2(weight_decay):
    """Keras regularizer for a weight decay w. Its gradient is w * kernel, so the L2 factor is w / 2."""
    return keras.regularizers.L2(float(weight_decay) / 2) if weight_decay else None
