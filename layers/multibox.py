"""MultiBox: joins the heads of all feature maps into one prediction tensor."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from ..activations import check_activation
from ..anchors import AnchorSpec, as_spec
from ..arguments import check_arguments
from ..class_names import check_names
from ..limits import NUM_CLASSES


@keras.saving.register_keras_serializable(package="multibox")
class MultiBox(keras.layers.Layer):
    """Joins the outputs of all heads in the order of the anchors.

    The layer also stores the anchors, the activation and the class names, so a saved model knows them.

    Called with two lists of tensors, one tensor per level: offsets (batch, rows, columns, sides * 4) and
    logits (batch, rows, columns, sides * (1 + num_classes)). Returns a float32 tensor (also under mixed
    precision) of shape (batch, num_anchors, 4 + 1 + num_classes): offsets, then class logits with background
    first.

    Args:
        anchors: an `AnchorSpec` (or its config).
        num_classes: number of object classes, background not counted.
        activation: "softmax" or "sigmoid", which loss and decoder apply to the logits. This layer does not
            apply it.
        class_names: names of the classes 1, 2, ... (None for an unused one), or None if they are not known.

    Raises:
        TypeError: for an argument of another kind.
        ValueError: if num_classes is not from 1 to 10,000, for an unknown activation, if the number of class
            names is not num_classes or a name is repeated, or if a feature map does not fit its level of the
            spec.
    """

    def __init__(
        self,
        anchors: AnchorSpec | dict,
        num_classes: int,
        activation: str = "softmax",
        class_names: Sequence[str | None] | None = None,
        **kwargs,
    ):
        check_arguments(MultiBox.__init__, locals(), num_classes=NUM_CLASSES)
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.anchors = as_spec(anchors)
        self.num_classes = num_classes
        self.activation = check_activation(activation, "MultiBox")
        self.class_names = (
            None if class_names is None else check_names(class_names, num_classes, owner="MultiBox")
        )

    def build(self, offsets_shape, logits_shape):
        levels = self.anchors.levels
        if not len(offsets_shape) == len(logits_shape) == len(levels):
            raise ValueError(
                f"{self.name}: the anchor spec has {len(levels)} levels, the model "
                f"{len(offsets_shape)} offset and {len(logits_shape)} class heads"
            )
        for i, level in enumerate(levels):
            for kind, shape, depth in (
                ("offsets", offsets_shape[i], 4),
                ("logits", logits_shape[i], 1 + self.num_classes),
            ):
                expected = (*level.grid, len(level.sides) * depth)
                if tuple(shape[1:]) != expected:
                    raise ValueError(
                        f"{self.name}: the anchor spec does not fit the feature maps: level {i} needs {kind} "
                        f"of shape (rows, columns, channels) = {expected}, got {tuple(shape[1:])}"
                    )

    def call(self, offsets, logits):
        offsets = [ops.reshape(x, (-1, level.num_anchors, 4)) for x, level in self._levels(offsets)]
        classes = 1 + self.num_classes
        logits = [ops.reshape(x, (-1, level.num_anchors, classes)) for x, level in self._levels(logits)]
        return ops.concatenate([ops.concatenate(offsets, axis=1), ops.concatenate(logits, axis=1)], axis=-1)

    def _levels(self, tensors):
        return zip(tensors, self.anchors.levels, strict=True)

    def compute_output_shape(self, offsets_shape, logits_shape):
        return (offsets_shape[0][0], self.anchors.num_anchors, 5 + self.num_classes)

    def get_config(self):
        return {
            **super().get_config(),
            "anchors": self.anchors.get_config(),
            "num_classes": self.num_classes,
            "activation": self.activation,
            "class_names": self.class_names,
        }


def multibox_layers(model: keras.Model) -> list[MultiBox]:
    """The `MultiBox` layers of a model: one in a model of this package, none in other models."""
    return [layer for layer in model.layers if isinstance(layer, MultiBox)]


def multibox_of(model: keras.Model) -> MultiBox:
    """The `MultiBox` layer of a model, which stores anchors, classes and activation.

    Raises:
        TypeError: for anything but a `keras.Model`.
        ValueError: if the model has no such layer, or several.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"expected a model of this package as the first argument, got {type(model).__name__}; are the "
            "arguments swapped?"
        )
    found = multibox_layers(model)
    if len(found) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(found)} MultiBox layers, expected one: build it with SSD300, "
            "SSD512, SSDLite, SSDMobileNet or SSD7"
        )
    return found[0]
