"""The parts of a loss as metrics."""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from .replicas import sum_over_replicas


@keras.saving.register_keras_serializable(package="multibox")
class SSDLossPart(keras.metrics.Mean):
    """Running mean over images of one part of a `DetectionLoss`; named "localization" or "confidence".

    Args:
        loss: the `DetectionLoss` (or its serialized form).
        part: "localization" or "confidence".
    """

    def __init__(
        self,
        loss: keras.losses.Loss | dict[str, Any],
        part: Literal["localization", "confidence"],
        name: str | None = None,
        **kwargs,
    ):
        super().__init__(name=name or part, **kwargs)
        self.loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
        self.part = part

    def update_state(self, y_true, y_pred, sample_weight=None):
        value = sum_over_replicas(ops.sum(self.loss.parts(y_true, y_pred)[self.part]))
        # Weighted by the batch size, as Keras does for the loss itself.
        super().update_state(value, sample_weight=ops.cast(ops.shape(y_true)[0], "float32"))

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss, "part": self.part, "name": self.name, "dtype": self.dtype}
