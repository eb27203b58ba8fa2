"""The training loss of SSD (paper, section 2.2, equations 1 to 3).

From top to bottom: the two confidence losses, and `SSDLoss`. The localization losses are in `box_losses.py`,
what every detection loss does with both parts in `detection_loss.py`, hard negative mining in `mining.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import keras
from keras import ops

from ..anchors import AnchorSpec
from ..arguments import checked
from ..deprecated import renamed_arguments
from .detection_loss import DetectionLoss
from .mining import MINING
from .replicas import sum_over_replicas


def softmax_cross_entropy(classes, logits):
    """Cross-entropy over background and classes (equation 3).

    Args:
        classes: (..., 1 + num_classes) one-hot, background first.
        logits: (..., 1 + num_classes).

    Returns:
        (...), never negative; 0 for an all-zero row of classes.
    """
    return -ops.sum(classes * ops.log_softmax(logits, axis=-1), axis=-1)


def sigmoid_cross_entropy(classes, logits):
    """Binary cross-entropy, summed over the classes; shapes as `softmax_cross_entropy`.

    Background means that every class is absent, so the background column has nothing to learn.
    """
    cross_entropy = ops.binary_crossentropy(classes[..., 1:], logits[..., 1:], from_logits=True)
    return ops.sum(cross_entropy, axis=-1)


CONFIDENCE_LOSSES = {"softmax": softmax_cross_entropy, "sigmoid": sigmoid_cross_entropy}


@keras.saving.register_keras_serializable(package="multibox")
class SSDLoss(DetectionLoss):
    """A loss on the boxes of positives plus cross-entropy on positives and hard negatives.

    Targets, predictions and `metrics()`: see `DetectionLoss`. Both parts are divided by the number of
    positives in the batch. If that is less than the number of mined negatives / negative_ratio, they are
    divided by the latter instead, and at least by 1. So a batch with few objects or none does not make a
    larger step.

    Args:
        negative_ratio: hard negatives for each positive.
        min_negatives: fewest hard negatives mined in each image.
        mining: where hard negatives come from. "paper": each image has negative_ratio for each of its
            positives, and an image without objects has min_negatives, so by default it teaches nothing.
            "all_images": as "paper", but an image without objects counts like the average image with objects
            in the batch. "batch": the hardest negatives of the whole batch, from any image.
        localization_weight: weight of the localization part (alpha of equation 1).
        activation: the model's activation. "softmax": cross-entropy over background and classes. "sigmoid":
            binary cross-entropy, summed over the classes. `multibox.loss_of(model)` sets it.
        class_weights, box_loss, anchors: see `DetectionLoss`.

    Raises:
        ValueError: for arguments that are negative or not finite, an unknown mining, and as `DetectionLoss`.
    """

    @renamed_arguments(alpha="localization_weight")
    @checked()
    def __init__(
        self,
        *,
        negative_ratio: float = 3,
        min_negatives: int = 0,
        mining: Literal["paper", "all_images", "batch"] = "all_images",
        localization_weight: float = 1.0,
        activation: str = "softmax",
        class_weights: Sequence[float] | None = None,
        box_loss: Literal["smooth_l1", "giou", "diou", "ciou"] = "smooth_l1",
        anchors: AnchorSpec | dict | None = None,
        name: str = "ssd_loss",
        **kwargs,
    ):
        super().__init__(
            localization_weight, activation, class_weights, name, box_loss=box_loss, anchors=anchors, **kwargs
        )
        self._check_not_negative(negative_ratio=negative_ratio, min_negatives=min_negatives)
        self.negative_ratio = negative_ratio
        self.min_negatives = min_negatives
        self.mining = mining

    def confidence(self, classes, logits, positive, negative):
        loss = CONFIDENCE_LOSSES[self.activation](classes, logits)
        mined = MINING[self.mining](loss, positive, negative, self.negative_ratio, self.min_negatives)
        num_positives, num_negatives = _total(positive), _total(mined)
        # The number of positives with the paper's mining, which takes at most negative_ratio for each.
        divisor = ops.maximum(num_positives, num_negatives / (self.negative_ratio or 1))
        return ops.where(positive | mined, loss, 0.0), ops.maximum(divisor, 1.0)

    def get_config(self):
        names = "negative_ratio", "min_negatives", "mining"
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config):
        config = {"mining": "paper", **config}  # files of version 0.1 do not state it
        if "alpha" in config:
            config["localization_weight"] = config.pop("alpha")
        return cls(**config)


def _total(chosen):
    """The number of anchors that are chosen in the whole batch."""
    return sum_over_replicas(ops.sum(ops.cast(chosen, "float32")))
