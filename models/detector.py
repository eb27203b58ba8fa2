"""From a trained model to a detector, and back to its anchors."""

import keras

from ..layers import AnchorBoxes, DecodeDetections
from ..layers.multibox import multibox_of


def to_inference(
    model,
    confidence_threshold=0.01,
    iou_threshold=0.45,
    top_k=200,
    max_candidates=400,
    class_agnostic=False,
):
    """The detector of a model: same graph, same weights, `AnchorBoxes` and `DecodeDetections` at the end.

    Args:
        model: a model of this package, trained or reloaded. A detector is decoded anew, with these options.
        confidence_threshold: see `DecodeDetections`, as for the other options.

    Returns:
        `keras.Model` from RGB images 0..255 to (batch, top_k, 6) rows
        [class_id, score, xmin, ymin, xmax, ymax], coordinates relative, zero rows as padding.

    Raises:
        ValueError: if the model has no `MultiBox` layer.
    """
    multibox = multibox_of(model)
    predictions = multibox.output
    decode = DecodeDetections(
        confidence_threshold=confidence_threshold,
        iou_threshold=iou_threshold,
        top_k=top_k,
        max_candidates=max_candidates,
        class_agnostic=class_agnostic,
        activation=multibox.activation,
        name="detections",
    )
    detections = decode(predictions, AnchorBoxes(multibox.anchors, name="anchors")(predictions))
    return keras.Model(model.inputs, detections, name=model.name)


def anchors_of(model):
    """The `AnchorSpec` of a model of this package, also after `keras.models.load_model`.

    Raises:
        ValueError: if the model has no `MultiBox` layer.
    """
    return multibox_of(model).anchors


def num_classes_of(model):
    """The number of object classes of a model of this package, background not counted."""
    return multibox_of(model).num_classes


def activation_of(model):
    """How the class logits of a model of this package are to be read: "softmax" or "sigmoid"."""
    return multibox_of(model).activation


def is_detector(model):
    """Whether the model ends in `DecodeDetections` (built or made for inference)."""
    return any(isinstance(layer, DecodeDetections) for layer in model.layers)
