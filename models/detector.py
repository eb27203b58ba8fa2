"""Turns a trained model into a detector, and reads anchors, classes and activation from a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import keras

from ..anchors import AnchorSpec
from ..arguments import checked
from ..deprecated import renamed_arguments
from ..layers import AnchorBoxes, DecodeDetections, ImageNormalization
from ..layers.multibox import multibox_of, unwrapped
from ..limits import MAX_CANDIDATES, MAX_DETECTIONS
from .precision import Precision, cast_model
from .saved_model import load_saved_model

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Decoding(TypedDict, total=False):
    """The options of `to_inference`, for the type hints of functions that pass them on."""

    confidence_threshold: float
    iou_threshold: float
    max_detections: int
    max_candidates: int
    class_agnostic: bool


@renamed_arguments(top_k="max_detections")
@checked(max_detections=MAX_DETECTIONS, max_candidates=MAX_CANDIDATES)
def to_inference(
    model: keras.Model,
    *,
    confidence_threshold: float = 0.01,
    iou_threshold: float = 0.45,
    max_detections: int = 200,
    max_candidates: int = 400,
    class_agnostic: bool = False,
    precision: Precision | None = None,
) -> keras.Model:
    """Appends `AnchorBoxes` and `DecodeDetections` to a model. The detector shares the model's weights.

    Args:
        model: a model of this package, trained or reloaded, also nested in a model that adds nothing to it.
            If the model already decodes, its decoder is replaced by one with these options.
        confidence_threshold: see `DecodeDetections`, as for the other options.
        precision: None for that of the model. Otherwise the detector has weights of its own; see
            `cast_model`.

    Returns:
        `keras.Model` from images 0..255 to (batch, max_detections, 6) rows
        [class_id, score, xmin, ymin, xmax, ymax], coordinates relative, zero rows as padding.

    Raises:
        ValueError: if the model has no `MultiBox` layer.
    """
    decode = DecodeDetections(
        confidence_threshold=confidence_threshold,
        iou_threshold=iou_threshold,
        max_detections=max_detections,
        max_candidates=max_candidates,
        class_agnostic=class_agnostic,
        activation=multibox_of(model).activation,
        name="detections",
    )
    detector = _with_decoder(model, decode)
    return detector if precision is None else cast_model(detector, precision)


def for_detect(model: keras.Model) -> keras.Model:
    """A model from [image, min_score] to the detections whose score is above that number, a scalar.

    Args:
        model: a model of this package. If it decodes, its options are kept, else they are the default ones.
    """
    decoder = decoder_of(model) or decoder_of(to_inference(model))
    decode = DecodeDetections.from_config(decoder.get_config())
    return _with_decoder(model, decode, keras.Input(batch_shape=(), name="min_score"))


def _with_decoder(model, decode, min_score=None):
    multibox, model = multibox_of(model), unwrapped(model)
    predictions = multibox.output
    anchors = AnchorBoxes(multibox.anchors, name="anchors")(predictions)
    (image,) = model.inputs  # with a list, Keras would warn of each call with a tensor
    if min_score is None:
        return keras.Model(image, decode(predictions, anchors), name=model.name)
    return keras.Model([image, min_score], decode(predictions, anchors, min_score), name=model.name)


def as_detector(model: keras.Model, **decoding: Unpack[Decoding]) -> keras.Model:
    """The model itself if it decodes and no options of `to_inference` are given, else its inference model.

    Raises:
        ValueError: for a model of another package.
    """
    multibox_of(model)
    return unwrapped(model) if is_detector(model) and not decoding else to_inference(model, **decoding)


@checked()
def anchors_of(model: keras.Model) -> AnchorSpec:
    """The `AnchorSpec` of a model of this package, also after `keras.models.load_model`.

    Raises:
        ValueError: if the model has no `MultiBox` layer.
    """
    return multibox_of(model).anchors


@checked()
def num_classes_of(model: keras.Model) -> int:
    """The number of object classes of a model of this package, background not counted."""
    return multibox_of(model).num_classes


@checked()
def class_names_of(model: keras.Model) -> tuple[str | None, ...] | None:
    """The class names of a model of this package, in the order of the labels 1, 2, ...

    Returns:
        A tuple, in which None stands for a class that is not used, or None if the model has no names.

    Raises:
        ValueError: if the model has no `MultiBox` layer.
    """
    return multibox_of(model).class_names


@checked()
def class_weights_of(model: keras.Model, weights: Mapping[str, float]) -> tuple[float, ...]:
    """Weights by class name in the order of the model's labels, for `class_weights=` of the losses.

    Args:
        model: a model of this package with class names.
        weights: {class name: weight}; classes that are not named have 1.

    Raises:
        ValueError: if the model has no class names, or for a class that it does not have.
    """
    names = class_names_of(model)
    if names is None:
        raise ValueError(
            "class_weights_of: the model has no class names; pass weights in label order instead"
        )
    if unknown := [name for name in weights if name not in names]:
        missing, known = ", ".join(map(repr, unknown)), ", ".join(name for name in names if name is not None)
        raise ValueError(f"class_weights_of: the model has no class {missing}; it has {known}")
    return tuple(float(weights.get(name, 1.0)) for name in names)


@checked()
def activation_of(model: keras.Model) -> str:
    """The activation that turns the class logits of a model into scores: "softmax" or "sigmoid"."""
    return multibox_of(model).activation


def channels_of(model: keras.Model) -> int:
    """The number of channels of the images that a model of this package takes."""
    return unwrapped(model).input_shape[-1]


def value_range_of(model: keras.Model):
    """The `value_range` of the images that a model was trained on by `train`, see `read_image`; or None."""
    return next((_range(layer) for layer in _normalizations(model)), None)


def set_value_range(model: keras.Model, value_range) -> None:
    """Stores the `value_range` of the images that a model is trained on. It is saved with the model."""
    for layer in _normalizations(model):
        layer.value_range = value_range


def _normalizations(model):
    return [layer for layer in unwrapped(model).layers if isinstance(layer, ImageNormalization)]


def _range(layer):
    # A saved model has a list in place of a tuple.
    return tuple(layer.value_range) if isinstance(layer.value_range, list | tuple) else layer.value_range


def model_of(model: keras.Model | str | os.PathLike[str], owner: str) -> keras.Model:
    """The model itself, or the saved one at a path.

    Args:
        model: a model, or the path of a saved one (`.keras`).
        owner: name of the calling function, for messages.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        ValueError: as `load_saved_model`.
    """
    if isinstance(model, keras.Model):
        return model
    if not Path(model).exists():
        raise FileNotFoundError(f"{owner}: no such model: {os.fspath(model)}")
    return load_saved_model(model, owner)


def is_detector(model: keras.Model) -> bool:
    """Whether the model contains `DecodeDetections`, as models for inference do."""
    return decoder_of(model) is not None


def decoder_of(model: keras.Model) -> DecodeDetections | None:
    """The `DecodeDetections` of a model for inference, or None."""
    layers = unwrapped(model).layers
    return next((layer for layer in layers if isinstance(layer, DecodeDetections)), None)


def feature_layers(model: keras.Model) -> tuple[str, ...]:
    """Names of the layers before the heads: those that both offsets and logits are computed from."""
    model = unwrapped(model)
    tensors = keras.tree.flatten(multibox_of(model).input)  # offsets of all levels, then logits
    half = len(tensors) // 2
    parts = keras.Model(model.inputs, tensors[:half]), keras.Model(model.inputs, tensors[half:])
    offsets, logits = ({layer.name for layer in part.layers} for part in parts)
    return tuple(layer.name for layer in model.layers if layer.name in offsets & logits)
