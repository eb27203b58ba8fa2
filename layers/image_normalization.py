"""ImageNormalization: converts RGB 0..255 to the mean, scale and channel order that the weights expect."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from ..arguments import check_arguments


@keras.saving.register_keras_serializable(package="multibox")
class ImageNormalization(keras.layers.Layer):
    """(pixels - mean) * scale, then optionally RGB to BGR.

    Input: (batch, rows, columns, 3) RGB, 0..255, integer or float. Output: same shape, float.

    Args:
        mean: one number, or three in RGB order, subtracted from the pixels.
        scale: factor applied after the subtraction.
        bgr: whether the output channels are in the order BGR, which Caffe uses.
    """

    def __init__(self, mean: Sequence[float] | float, scale: float = 1.0, bgr: bool = False, **kwargs):
        check_arguments(ImageNormalization.__init__, locals())
        super().__init__(**kwargs)
        self.mean = mean
        self.scale = scale
        self.bgr = bgr

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        x = (x - ops.convert_to_tensor(self.mean, self.compute_dtype)) * self.scale
        return ops.flip(x, axis=-1) if self.bgr else x

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "mean": self.mean, "scale": self.scale, "bgr": self.bgr}
