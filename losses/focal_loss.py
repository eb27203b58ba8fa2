"""SSDFocalLoss: the focal loss in place of hard negative mining."""

import keras
from keras import ops

from .detection_loss import DetectionLoss


@keras.saving.register_keras_serializable(package="multibox")
class SSDFocalLoss(DetectionLoss):
    """Smooth L1 on the offsets of positives plus the focal loss of all anchors, for sigmoid scores.

    Lin et al., "Focal Loss for Dense Object Detection", equation 5: each yes or no counts by how wrong the
    model is about it, to the power of `focus`, so that the many easy anchors of the background do not drown
    the rest. Targets, predictions, the division and `metrics()`: see `DetectionLoss`.

    For weights that were trained with it, such as SSD MobileNet's of the TensorFlow model zoo, whose
    configuration has a focus of 2, a balance of 0.75 and a quarter of the localization (`alpha=0.25`): mining
    would first move all their scores, and lose some of what they know on the way.

    Args:
        focus: the paper's gamma; 0 is plain cross-entropy.
        balance: weight of an object's yes; a no has 1 - balance. The paper's alpha.
        alpha: weight of the localization part, as in `SSDLoss`.

    Raises:
        ValueError: for a negative focus or alpha, a balance outside 0..1, and as `DetectionLoss`.
    """

    def __init__(self, focus=2.0, balance=0.25, alpha=1.0, name="ssd_focal_loss", **kwargs):
        super().__init__(alpha, "sigmoid", name, **kwargs)
        self._check_not_negative(focus=focus)
        if not 0 <= balance <= 1:
            raise ValueError(f"SSDFocalLoss: balance must be between 0 and 1, got {balance}")
        self.focus = focus
        self.balance = balance

    def confidence(self, classes, logits, positive, negative):
        yes, logits = classes[..., 1:], logits[..., 1:]
        wrong = logits * (1.0 - 2.0 * yes)  # logit of the wrong answer
        weight = self.balance * yes + (1.0 - self.balance) * (1.0 - yes)
        # sigmoid(wrong) ** focus, whose gradient stays finite where the sigmoid is zero.
        modulation = ops.exp(-self.focus * ops.softplus(-wrong))
        loss = ops.sum(weight * modulation * ops.softplus(wrong), axis=-1)
        return ops.where(positive | negative, loss, 0.0)

    def get_config(self):
        config = super().get_config()
        config.pop("activation")
        return {**config, "focus": self.focus, "balance": self.balance}
