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


def unwrapped(model: keras.Model) -> keras.Model:
    """The model of this package that is nested in others, at any depth, if they add nothing to it.

    Weights and layers are those of the given model. A model with a `MultiBox` layer, or whose nested models
    have none, is returned as it is, and so is one that adds something.
    """
    inner = _inner(model)
    return model if inner is None or _additions(model, inner) else unwrapped(inner)


def multibox_layers(model: keras.Model) -> list[MultiBox]:
    """The `MultiBox` layers of a model: one in a model of this package, none in other models."""
    return _own(unwrapped(model))


def multibox_of(model: keras.Model) -> MultiBox:
    """The `MultiBox` layer of a model, which stores anchors, classes and activation.

    Raises:
        TypeError: for anything but a `keras.Model`.
        ValueError: if the model has no such layer, or several, or contains a model of this package and adds
            something to it; names what it adds.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"expected a model of this package as the first argument, got {type(model).__name__}; are the "
            "arguments swapped?"
        )
    model = unwrapped(model)
    if (inner := _inner(model)) is not None:
        raise ValueError(
            f"model {model.name!r} adds {', '.join(_additions(model, inner))} to the model {inner.name!r} "
            "that is nested in it; pass that one alone"
        )
    found = _own(model)
    if len(found) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(found)} MultiBox layers, expected one: build it with SSD300, "
            "SSD512, SSDLite, SSDMobileNet or SSD7"
        )
    return found[0]


def _own(model):
    return [layer for layer in model.layers if isinstance(layer, MultiBox)]


def _inner(model):
    """The model of this package among the layers of a model that has no `MultiBox` itself, or None."""
    models = [] if _own(model) else [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return next((layer for layer in models if _own(layer) or _inner(layer)), None)


def _additions(model, inner):
    """What a model does beside calling the inner one, in words."""
    if isinstance(model, keras.Sequential):
        steps, counts = model.layers, [1, 1]
    elif hasattr(model, "operations"):  # of a functional model, also those that are no layers
        steps, counts = model.operations, [len(model.inputs), len(model.outputs)]
    else:
        return [f"the code of its class {type(model).__name__}"]
    others = [step for step in steps if step is not inner and not isinstance(step, keras.layers.InputLayer)]
    names = [f"the layer {step.name!r}" for step in others]
    return names or [f"a second {kind}" for kind, n in zip(("input", "output"), counts, strict=True) if n > 1]
