"""SSDFocalLoss: the focal loss in place of hard negative mining."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import keras
from keras import ops

from ..anchors import AnchorSpec
from ..arguments import checked
from ..deprecated import renamed_arguments, with_new_names
from .detection_loss import DetectionLoss
from .mining import number_of_images
from .replicas import sum_over_replicas

FORMER_NAMES = {"focus": "gamma", "balance": "alpha", "alpha": "localization_weight"}


@keras.saving.register_keras_serializable(package="multibox")
class SSDFocalLoss(DetectionLoss):
    """A loss on the boxes of positives plus the focal loss of all anchors, for sigmoid scores.

    Lin et al., "Focal Loss for Dense Object Detection", equation 5. Each binary decision is weighted by
    (probability of the wrong answer) ** gamma, which keeps the many easy background anchors from dominating
    the loss. All background anchors count, so images without objects teach. Targets, predictions and
    `metrics()`: see `DetectionLoss`. A batch without any positive is divided by the number of its images;
    an image whose anchors are all neutral is none.

    Use it for weights that were trained with it. The published SSD MobileNet was trained with gamma=2,
    alpha=0.75 and localization_weight=0.25. Hard negative mining would first shift every score.

    Args:
        gamma: the paper's gamma; 0 is plain cross-entropy.
        alpha: the paper's alpha: weight of the objects; the background has 1 - alpha.
        localization_weight: weight of the localization part, as in `SSDLoss`.
        class_weights, box_loss, anchors: see `DetectionLoss`.

    Raises:
        ValueError: for a gamma or localization_weight that is negative or not finite, an alpha outside 0..1,
            and as `DetectionLoss`.
    """

    @renamed_arguments(focus="gamma", balance="alpha", along={"alpha": "localization_weight"})
    @checked()
    def __init__(
        self,
        *,
        gamma: float = 2.0,
        alpha: float = 0.25,
        localization_weight: float = 1.0,
        class_weights: Sequence[float] | None = None,
        box_loss: Literal["smooth_l1", "giou", "diou", "ciou"] = "smooth_l1",
        anchors: AnchorSpec | dict | None = None,
        name: str = "ssd_focal_loss",
        **kwargs,
    ):
        super().__init__(
            localization_weight, "sigmoid", class_weights, name, box_loss=box_loss, anchors=anchors, **kwargs
        )
        self._check_not_negative(gamma=gamma)
        if not 0 <= alpha <= 1:
            raise ValueError(f"SSDFocalLoss: alpha must be between 0 and 1, got {alpha}")
        self.gamma = gamma
        self.alpha = alpha

    def confidence(self, classes, logits, positive, negative):
        yes, logits = classes[..., 1:], logits[..., 1:]
        wrong = logits * (1.0 - 2.0 * yes)  # logit of the wrong answer
        weight = self.alpha * yes + (1.0 - self.alpha) * (1.0 - yes)
        # sigmoid(wrong) ** gamma, whose gradient stays finite where the sigmoid is zero.
        modulation = ops.exp(-self.gamma * ops.softplus(-wrong))
        loss = ops.sum(weight * modulation * ops.softplus(wrong), axis=-1)
        num_positives = sum_over_replicas(ops.sum(ops.cast(positive, "float32")))
        num_images = number_of_images(positive, negative)
        divisor = ops.where(num_positives > 0, num_positives, num_images)
        return ops.where(positive | negative, loss, 0.0), divisor

    def get_config(self):
        config = super().get_config()
        config.pop("activation")
        return {**config, "gamma": self.gamma, "alpha": self.alpha}

    @classmethod
    def from_config(cls, config):
        if "focus" in config:  # files of version 0.1
            config = with_new_names(config, FORMER_NAMES)
        return cls(**config)
