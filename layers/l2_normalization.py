"""L2Normalization: gives conv4_3 the magnitude of the deeper feature maps (paper, section 3.1; ParseNet)."""

import keras
from keras import ops

from ..arguments import check_arguments


@keras.saving.register_keras_serializable(package="multibox")
class L2Normalization(keras.layers.Layer):
    """Scales each position's channel vector to unit L2 norm, times a learned factor per channel.

    Input and output: (batch, rows, columns, channels). Computed in float32 under mixed precision.

    Args:
        scale: initial value of the learned factors.
    """

    EPSILON = 1e-10  # Caffe's value, added inside the square root

    def __init__(self, scale: float = 20.0, **kwargs):
        check_arguments(L2Normalization.__init__, locals())
        super().__init__(**kwargs)
        self.scale = scale

    def build(self, input_shape):
        self.gamma = self.add_weight(
            name="gamma", shape=(input_shape[-1],), initializer=keras.initializers.Constant(self.scale)
        )

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        norm = ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + self.EPSILON)
        return ops.cast(x * norm * ops.cast(self.gamma, "float32"), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.scale}
