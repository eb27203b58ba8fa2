"""SSDLoss: localization and confidence loss of the paper (section 2.2, equations 1 to 3)."""

import keras
from keras import ops

from ..class_scores import READINGS
from .detection_loss import DetectionLoss
from .hard_negatives import hard_negatives


@keras.saving.register_keras_serializable(package="multibox")
class SSDLoss(DetectionLoss):
    """Smooth L1 on the offsets of positives plus cross-entropy on positives and hard negatives.

    Targets, predictions, the division and `metrics()`: see `DetectionLoss`.

    Args:
        negative_ratio: hard negatives for each positive, mined in each image.
        min_negatives: hard negatives mined in each image at least.
        alpha: weight of the localization part.
        activation: that of the model. "softmax": cross-entropy over background and classes; "sigmoid":
            binary cross-entropy, summed over the classes (the background column counts for nothing).
            `multibox.loss_of(model)` sets it.

    Raises:
        ValueError: for negative arguments, and as `DetectionLoss`.
    """

    def __init__(
        self,
        negative_ratio=3,
        min_negatives=0,
        alpha=1.0,
        activation="softmax",
        name="ssd_loss",
        **kwargs,
    ):
        super().__init__(alpha, activation, name, **kwargs)
        self._check_not_negative(negative_ratio=negative_ratio, min_negatives=min_negatives)
        self.negative_ratio = negative_ratio
        self.min_negatives = min_negatives

    def confidence(self, classes, logits, positive, negative):
        loss = READINGS[self.activation].loss(classes, logits)
        mined = hard_negatives(loss, positive, negative, self.negative_ratio, self.min_negatives)
        return ops.where(positive | mined, loss, 0.0)

    def get_config(self):
        own = {"negative_ratio": self.negative_ratio, "min_negatives": self.min_negatives}
        return {**super().get_config(), **own}
