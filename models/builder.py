"""The one builder behind every model function: backbone, heads, joined predictions."""

import inspect

import keras

from ..anchors import as_spec
from ..layers import ImageNormalization, MultiBox
from ..weights.loading import load_weights
from .detector import to_inference

# What the published VGG16 weights of Caffe expect, and the common -1..1.
CAFFE_PIXELS = {"mean": [123.0, 117.0, 104.0], "bgr": True}
UNIT_PIXELS = {"mean": 127.5, "scale": 1 / 127.5}


def build_ssd(
    name, backbone, head, pixels, num_classes, anchors, mode, weights, decoding, activation="softmax"
):
    """Builds a detector as a plain functional `keras.Model`.

    Args:
        name: of the model.
        backbone: function from the normalised image tensor to {source name: feature map}, fine to coarse.
        head: function (feature map, channels, name) to the head's output of the same rows and columns.
        pixels: arguments of `ImageNormalization`.
        num_classes: number of object classes, background not counted.
        anchors: an `AnchorSpec`; its image_size is the model's.
        mode: "training" or "inference".
        weights: None, the path of a weight file, "imagenet" or "coco", see `load_weights`.
        decoding: arguments of `to_inference`, for mode "inference".
        activation: "softmax" or "sigmoid", see `MultiBox`.

    Raises:
        TypeError: for an unknown argument.
        FileNotFoundError: if the weight file does not exist.
        ValueError: for an unknown mode or activation, num_classes < 1, anchors that do not fit the feature
            maps, or channels_first as Keras' image data format.
    """
    anchors = as_spec(anchors)
    if mode not in ("training", "inference"):
        raise ValueError(f'{name}: mode must be "training" or "inference", got {mode!r}')
    if num_classes < 1:
        raise ValueError(
            f"{name}: num_classes must be at least 1 (background not counted), got {num_classes}"
        )
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(f'{name}: needs keras.config.set_image_data_format("channels_last")')
    unknown = set(decoding) - set(inspect.signature(to_inference).parameters)
    if unknown:
        raise TypeError(f"{name}: unknown arguments {', '.join(sorted(unknown))}")
    if decoding and mode == "training":
        raise ValueError(f'{name}: {", ".join(sorted(decoding))} only apply to mode="inference"')

    image = keras.Input((*anchors.image_size, 3), name="image")
    sources = backbone(ImageNormalization(**pixels, name="normalization")(image))
    if len(sources) != len(anchors.levels):
        raise ValueError(
            f"{name}: the anchor spec has {len(anchors.levels)} levels, the model {len(sources)} feature "
            f"maps ({', '.join(sources)})"
        )
    offsets, logits = [], []
    for (source, features), level in zip(sources.items(), anchors.levels, strict=True):
        sides = len(level.sides)
        offsets.append(head(features, sides * 4, f"{source}_mbox_loc"))
        logits.append(head(features, sides * (1 + num_classes), f"{source}_mbox_conf"))
    predictions = MultiBox(anchors, num_classes, activation, name="predictions")(offsets, logits)

    model = keras.Model(image, predictions, name=name)
    if weights is not None:
        load_weights(model, weights)
    return to_inference(model, **decoding) if mode == "inference" else model


def l2(weight_decay):
    """Keras regulariser of an optimiser's weight decay: gradient w * kernel is an L2 of w / 2."""
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
