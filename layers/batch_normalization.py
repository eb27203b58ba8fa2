"""`BatchNormalization`, which trains fast on TensorFlow."""

from __future__ import annotations

import keras


@keras.saving.register_keras_serializable(package="multibox")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization`, in one operation where TensorFlow has one.

    Arguments, weights, config and results are those of Keras' layer. Keras 3 makes the statistics, the
    normalization and their gradients of more than a dozen operations, each of which reads or writes the whole
    map. TensorFlow has one operation for all of them, and one for the gradients. They are used in training
    steps, for maps (batch, rows, columns, channels). Everything else is left to Keras: inference, other
    backends, other ranks and axes, and the arguments `synchronized` and `renorm`. JAX has no need of it: XLA
    joins such operations itself. `benchmarks/batch_normalization.py` measures both.
    """

    def call(self, inputs, training=None, mask=None):
        if training and self.trainable and mask is None and self._is_plain(inputs):
            return self._fused(inputs)
        return super().call(inputs, training=training, mask=mask)

    def _is_plain(self, inputs):
        on_channels = len(inputs.shape) == 4 and self.axis in (-1, 3)
        other = self.synchronized or getattr(self, "renorm", False)
        in_tensorflow = keras.backend.backend() == "tensorflow"
        return in_tensorflow and on_channels and not other and inputs.dtype != "float64"

    def _fused(self, inputs):
        import tensorflow as tf

        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels),
            offset=tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels),
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # TensorFlow's variance divides by n - 1, that of Keras by n.
        count = tf.cast(tf.size(inputs) // channels, variance.dtype)
        variance *= (count - 1) / count
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1 - self.momentum))
        return outputs
