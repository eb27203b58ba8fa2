"""What one layer costs: multiply-adds, and how far it looks.

The multiply-adds are those of kernels with inputs for one image, without biases, norms and activations, as
torchvision and most papers count them.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import keras
from keras import layers

from ..layers import (
    AnchorBoxes,
    BatchNormalization,
    DecodeDetections,
    ImageNormalization,
    L2Normalization,
    MultiBox,
)
from ..models.graph import Call

# The layers with one kernel that is applied at each position of the output.
KERNELS = (
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
    *(layers.DepthwiseConv1D, layers.DepthwiseConv2D),
)
TRANSPOSED = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)
# At each position alone; they have no kernel.
POINTWISE = (
    *(layers.InputLayer, layers.Identity, ImageNormalization, L2Normalization),
    *(layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax),
    *(
        BatchNormalization,
        layers.BatchNormalization,
        layers.UnitNormalization,
        layers.Rescaling,
        layers.Normalization,
    ),
    *(layers.Dropout, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout),
    *(layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum),
    *(layers.Concatenate, layers.ZeroPadding2D, layers.Cropping2D),
)
POOLS = (layers.MaxPooling2D, layers.AveragePooling2D)
GLOBAL_POOLS = (layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D)
# Other layers without kernels, after which rows and columns mean something else.
RESHAPING = (
    *(layers.Flatten, layers.Reshape, layers.Permute, layers.RepeatVector),
    *(layers.LayerNormalization, layers.GroupNormalization, layers.UpSampling2D),
    *(MultiBox, AnchorBoxes, DecodeDetections),
)
FREE = (*POINTWISE, *POOLS, *GLOBAL_POOLS, *RESHAPING)
# Operations of `keras.ops`, which are no layers: `x + y` is an `Add`.
FREE_OPERATIONS = {
    *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Maximum", "Minimum", "Clip", "Negative"),
    *("Relu", "Relu6", "Sigmoid", "Silu", "HardSigmoid", "HardSilu", "Softmax", "LogSoftmax", "Tanh"),
    *("Reshape", "Transpose", "Concatenate", "GetItem", "Cast", "ExpandDims", "Squeeze", "Flip", "Pad"),
}


class Field(NamedTuple):
    """How far the values of a feature map look, along one side.

    Attributes:
        size: pixels of the image that one value depends on; 0: all of them, after a global pooling.
        stride: pixels between neighboring values.
    """

    size: int
    stride: int


IMAGE = (Field(1, 1), Field(1, 1))  # rows, columns
WHOLE = (Field(0, 0), Field(0, 0))


def multiply_adds(call: Call) -> int | None:
    """Multiply-adds of a call for one image. None: the layer is of an unknown kind."""
    operation = call.operation
    if isinstance(operation, TRANSPOSED):  # before Conv2D, of which some versions of Keras derive them
        return math.prod(operation.kernel.shape) * _positions(operation, call.inputs[0])
    if isinstance(operation, SEPARABLE):
        kernels = math.prod(operation.depthwise_kernel.shape) + math.prod(operation.pointwise_kernel.shape)
        return kernels * _positions(operation, call.outputs[0])
    if isinstance(operation, KERNELS):
        return math.prod(operation.kernel.shape) * _positions(operation, call.outputs[0])
    if isinstance(operation, layers.Dense):
        return math.prod(operation.kernel.shape) * math.prod(call.outputs[0].shape[1:-1])
    if isinstance(operation, FREE):
        return 0
    is_operation = not isinstance(operation, keras.layers.Layer)
    return 0 if is_operation and type(operation).__name__ in FREE_OPERATIONS else None


def _positions(layer, tensor):
    first = layer.data_format == "channels_first"
    return math.prod(tensor.shape[2:] if first else tensor.shape[1:-1])


def receptive_field(call: Call, fields: list[tuple[Field, Field] | None]) -> tuple[Field, Field] | None:
    """The receptive field of a call's output: (rows, columns), or None if it is not known.

    Of several inputs the largest counts. Inputs that went through a global pooling, as in a
    squeeze-and-excitation block, are left out beside others: strictly, all that follows sees the whole image.

    Args:
        call: the call.
        fields: those of its inputs.
    """
    operation = call.operation
    if isinstance(operation, layers.InputLayer):
        return IMAGE if len(call.outputs[0].shape) == 4 else None
    if not fields or None in fields:
        return None
    rows, columns = zip(*fields, strict=True)
    joined = (_largest(rows), _largest(columns))
    if isinstance(operation, GLOBAL_POOLS):
        return WHOLE
    windows = _windows(operation)
    if windows is not None:
        return tuple(_through(field, *window) for field, window in zip(joined, windows, strict=True))
    known = isinstance(operation, POINTWISE) or type(operation).__name__ in FREE_OPERATIONS
    same = len(call.outputs[0].shape) == 4 and not isinstance(operation, RESHAPING)
    return joined if same and (known or isinstance(operation, layers.Dense)) else None


def _largest(fields):
    return Field(max(field.size for field in fields), max(field.stride for field in fields))


def _windows(layer):
    """(window, stride) in rows and in columns of a convolution or pooling, or None."""
    if isinstance(layer, POOLS):
        return tuple(zip(layer.pool_size, layer.strides, strict=True))
    if isinstance(layer, TRANSPOSED) or not isinstance(
        layer, layers.Conv2D | layers.DepthwiseConv2D | layers.SeparableConv2D
    ):
        return None
    sizes = zip(layer.kernel_size, layer.dilation_rate, strict=True)
    windows = [(kernel - 1) * dilation + 1 for kernel, dilation in sizes]
    return tuple(zip(windows, _pair(layer.strides), strict=True))


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _through(field, window, stride):
    if not field.size:
        return field
    return Field(field.size + (window - 1) * field.stride, field.stride * stride)
