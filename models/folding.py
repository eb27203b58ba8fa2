"""`fold_batch_norm`: a model for inference, with the BatchNorms inside the convolutions before them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from ..arguments import checked
from ..layers import BatchNormalization
from ..layers.multibox import multibox_of, unwrapped
from .copies import copied
from .graph import calls_of


def _last_axis(kernel, scale):
    return kernel * scale


def _depthwise(kernel, scale):
    return kernel * scale.reshape(kernel.shape[2:])  # (rows, columns, inputs, outputs of each input)


def _transposed(kernel, scale):
    return kernel * scale[:, None]  # (rows, columns, outputs, inputs)


# {type: (place of the kernel among the weights, before the bias; function that scales its outputs)}
_KERNELS: dict[type, tuple[int, Callable]] = {
    layers.Conv2D: (0, _last_axis),
    layers.DepthwiseConv2D: (0, _depthwise),
    layers.SeparableConv2D: (1, _last_axis),  # the pointwise kernel, after the depthwise one
    layers.Conv2DTranspose: (0, _transposed),
    layers.Dense: (0, _last_axis),
}


@checked()
def fold_batch_norm(model: keras.Model) -> keras.Model:
    """A copy of a trained model whose BatchNorms are folded into the layers before them. It runs faster.

    In inference a BatchNorm is `x * scale + offset` for each channel. The layer before it does the same if
    its kernel is multiplied by the scale, and its bias becomes `bias * scale + offset`. Results differ by
    rounding only. Fold after training: a folded model has no statistics to train with.

    Folded is each `BatchNormalization` right behind a `Conv2D`, `DepthwiseConv2D`, `SeparableConv2D`,
    `Conv2DTranspose` or `Dense` without activation, if both are called once and nothing else takes what is
    between them. Other BatchNorms stay, as do those in models that are nested as a layer.

    Args:
        model: a model of this package, for training or for inference.

    Returns:
        `keras.Model` with new weights, not compiled, with the same anchors, class names and decoder. It is
        saved and loaded as any other. The given model is unchanged.

    Raises:
        TypeError: for anything but a `keras.Model`.
        ValueError: if the model is not of this package.
    """
    multibox_of(model)
    model = unwrapped(model)
    pairs = _pairs(model)
    folded = {norm.name for norm in pairs.values()}

    def rebuild(layer):
        bias = {"use_bias": True} if layer.name in pairs else {}
        return type(layer).from_config({**layer.get_config(), **bias})

    def call(layer, *args, **kwargs):
        return args[0] if layer.name in folded else layer(*args, **kwargs)

    copy = copied(model, rebuild, call)
    for layer in copy.layers:
        original = model.get_layer(layer.name)
        norm = pairs.get(layer.name)
        layer.set_weights(original.get_weights() if norm is None else _folded(original, norm))
    return copy


def _pairs(model):
    """{name of a layer: the BatchNorm that is folded into it}."""
    calls = calls_of(model, "fold_batch_norm")
    times = Counter(id(call.operation) for call in calls)
    uses = Counter(id(tensor) for call in calls for tensor in call.inputs)
    makers = {id(tensor): call for call in calls for tensor in call.outputs}
    ends = {id(tensor._keras_history.operation) for tensor in model.outputs}
    own = {id(layer) for layer in model.layers}  # and not of a nested model
    pairs = {}
    for call in calls:
        if type(call.operation) not in (layers.BatchNormalization, BatchNormalization):
            continue
        (x,) = call.inputs
        before = makers[id(x)].operation
        norm = call.operation
        once = times[id(before)] == times[id(norm)] == uses[id(x)] == 1
        inside = id(before) in own - ends and id(norm) in own
        if once and inside and _takes(before) and norm.axis in (-1, len(x.shape) - 1):
            pairs[before.name] = norm
    return pairs


def _takes(layer):
    """Whether a BatchNorm can be folded into a layer."""
    if type(layer) not in _KERNELS or layer.activation is not keras.activations.linear:
        return False
    place, _ = _KERNELS[type(layer)]
    plain = len(layer.weights) == place + 1 + layer.use_bias  # neither quantized nor with LoRA
    return plain and getattr(layer, "data_format", "channels_last") == "channels_last"


def _folded(layer, norm):
    """The weights of a layer with the BatchNorm behind it."""
    place, scaled = _KERNELS[type(layer)]
    *first, kernel = (np.float64(w) for w in layer.get_weights()[: place + 1])
    bias = _float64(layer.bias) if layer.use_bias else 0.0
    scale = 1 / np.sqrt(_float64(norm.moving_variance) + norm.epsilon)
    if norm.scale:
        scale *= _float64(norm.gamma)
    offset = (bias - _float64(norm.moving_mean)) * scale
    if norm.center:
        offset += _float64(norm.beta)
    return [*first, scaled(kernel, scale), offset]


def _float64(variable):
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
