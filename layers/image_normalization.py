"""ImageNormalization: converts RGB 0..255 to the mean, scale and channel order that the weights expect."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from ..arguments import check_arguments


@keras.saving.register_keras_serializable(package="multibox")
class ImageNormalization(keras.layers.Layer):
    """(pixels - mean) * scale, then optionally RGB to BGR.

    Input: (batch, rows, columns, channels) 0..255, RGB first, integer or float. Output: same shape, float.

    Args:
        mean: one number, or one for each channel, subtracted from the pixels.
        scale: factor applied after the subtraction, one number or one for each channel.
        bgr: whether the first three output channels are in the order BGR, which Caffe uses.
        value_range: the `value_range` of the images that the model was trained on, see `read_image`. The
            layer only stores it for `detect`: its input has 0 to 255.
    """

    def __init__(
        self,
        mean: float | Sequence[float],
        scale: float | Sequence[float] = 1.0,
        bgr: bool = False,
        value_range: Sequence[float] | str | None = None,
        **kwargs,
    ):
        check_arguments(ImageNormalization.__init__, locals())
        super().__init__(**kwargs)
        self.mean = _plain(mean)
        self.scale = _plain(scale)
        self.bgr = bgr
        self.value_range = value_range

    def build(self, input_shape):
        for name, numbers in (("mean", self.mean), ("scale", self.scale)):
            if isinstance(numbers, list) and len(numbers) not in (1, input_shape[-1]):
                raise ValueError(
                    f"ImageNormalization: {name} must be one number or one for each of the {input_shape[-1]} "
                    f"channels, got {len(numbers)}"
                )
        self.built = True

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        x = (x - ops.convert_to_tensor(self.mean, self.compute_dtype)) * ops.convert_to_tensor(
            self.scale, self.compute_dtype
        )
        if not self.bgr or x.shape[-1] < 3:
            return x
        if x.shape[-1] == 3:
            return ops.flip(x, axis=-1)
        return ops.concatenate([ops.flip(x[..., :3], axis=-1), x[..., 3:]], axis=-1)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        settings = {"mean": self.mean, "scale": self.scale, "bgr": self.bgr, "value_range": self.value_range}
        return {**super().get_config(), **settings}


def _plain(numbers):
    """A number, or a list of them, as a saved model can hold it."""
    return np.asarray(numbers, np.float64).tolist()
