"""The training loss of SSD (paper, section 2.2, equations 1 to 3).

From top to bottom: the localization loss, the two confidence losses, hard negative mining, what every
detection loss does with them, and `SSDLoss`.
"""

import keras
from keras import ops

from ..activations import check_activation
from ..arguments import checked
from ..deprecated import renamed_arguments
from .metrics import SSDLossPart

SPARSE = 4 + 1  # columns of sparse targets: four offsets and a class id


def smooth_l1(errors):
    """Quadratic below 1, linear above (Girshick, "Fast R-CNN", equation 3)."""
    size = ops.abs(errors)
    return ops.where(size < 1, 0.5 * ops.square(size), size - 0.5)


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


def hard_negatives(confidence_loss, positive, negative, negative_ratio, min_negatives):
    """Chooses, for each image, the background anchors that the network is most wrong about.

    Args:
        confidence_loss: (batch, anchors) classification loss of every anchor.
        positive: (batch, anchors) boolean, matched to an object.
        negative: (batch, anchors) boolean, background.
        negative_ratio: negatives chosen for each positive of the image.
        min_negatives: fewest negatives chosen in each image.

    Returns:
        (batch, anchors) boolean.
    """
    wanted = ops.sum(ops.cast(positive, "float32"), axis=1, keepdims=True) * negative_ratio
    wanted = ops.maximum(wanted, min_negatives)
    hardness = ops.where(negative, confidence_loss, -1.0)  # losses are never negative
    rank = ops.argsort(ops.argsort(-hardness, axis=1), axis=1)
    return negative & (ops.cast(rank, "float32") < wanted)


class DetectionLoss(keras.losses.Loss):
    """Smooth L1 on the offsets of positives plus a confidence loss, which subclasses define.

    `y_true`: (batch, num_anchors, 4 + 1 + num_classes) as `GroundTruthEncoder` makes it. A row whose
    class part is all zero is neutral and ignored. `y_pred`: same shape, offsets and class *logits*.
    Sparse targets have the shape (batch, num_anchors, 4 + 1), with class id 0 for background and -1 for
    neutral. The loss expands them on its device.
    Both parts are divided by the number of positives in the batch (1 when there is none).

    Pass `metrics=loss.metrics()` to `compile` to see the parts in the progress bar and in the CSV log;
    they add up to the loss without weight decay.

    Args:
        localization_weight: weight of the localization part (alpha of equation 1).
        activation: the model's activation, "softmax" or "sigmoid".

    Raises:
        ValueError: for a negative weight, an unknown activation, another reduction than "sum", or if targets
            and predictions differ in shape.
    """

    def __init__(self, localization_weight, activation, name, **kwargs):
        # The division by the positives is the reduction; images are summed, not averaged.
        if (reduction := kwargs.pop("reduction", "sum")) != "sum":
            raise ValueError(
                f'{type(self).__name__}: reduction must be "sum": the loss is already divided by the number '
                f"of positive anchors; got {reduction!r}"
            )
        super().__init__(name=name, reduction="sum", **kwargs)
        self._check_not_negative(localization_weight=localization_weight)
        self.localization_weight = localization_weight
        self.activation = check_activation(activation, type(self).__name__)

    def confidence(self, classes, logits, positive, negative):
        """The confidence loss of the anchors that count, before the division.

        Args:
            classes: (batch, anchors, 1 + num_classes) one-hot, background first.
            logits: (batch, anchors, 1 + num_classes).
            positive: (batch, anchors) boolean, matched to an object.
            negative: (batch, anchors) boolean, background.

        Returns:
            (batch, anchors), zero where an anchor does not count.
        """
        raise NotImplementedError

    def call(self, y_true, y_pred):
        parts = self.parts(y_true, y_pred)
        return parts["localization"] + parts["confidence"]

    def parts(self, y_true, y_pred):
        """{"localization": (batch,), "confidence": (batch,)}: each image's share of the two parts."""
        self._check(y_true, y_pred)
        y_true, y_pred = ops.cast(y_true, "float32"), ops.cast(y_pred, "float32")
        offsets, classes = y_true[..., :4], _one_hot(y_true[..., 4:], y_pred.shape[-1] - 4)
        positive = ops.max(classes[..., 1:], axis=-1) > 0  # (batch, anchors)
        negative = classes[..., 0] > 0  # (batch, anchors)

        confidence = self.confidence(classes, y_pred[..., 4:], positive, negative)
        localization = ops.sum(smooth_l1(y_pred[..., :4] - offsets), axis=-1)

        num_positives = ops.maximum(ops.sum(ops.cast(positive, "float32")), 1.0)
        localization = ops.sum(ops.where(positive, localization, 0.0), axis=1)
        total = {
            "localization": self.localization_weight * localization,
            "confidence": ops.sum(confidence, axis=1),
        }
        return {part: value / num_positives for part, value in total.items()}

    def metrics(self) -> list[SSDLossPart]:
        """The two parts as metrics for `compile`."""
        return [SSDLossPart(self, part) for part in ("localization", "confidence")]

    def _check(self, y_true, y_pred):
        true, pred = tuple(y_true.shape), tuple(y_pred.shape)
        known = len(true) == len(pred) == 3 and pred[-1] is not None and pred[-1] >= 6
        wanted = (*pred[:2], SPARSE if known and true[-1] == SPARSE else pred[-1])
        if not known or any(
            None not in pair and pair[0] != pair[1] for pair in zip(true, wanted, strict=True)
        ):
            raise ValueError(
                f"{type(self).__name__}: expected targets and predictions of one shape (batch, num_anchors, "
                f"4 + 1 + num_classes), or sparse targets (batch, num_anchors, {SPARSE}), got targets {true} "
                f"and predictions {pred}; encoder and model must share the anchor spec and num_classes"
            )

    def _check_not_negative(self, **arguments):
        if min(arguments.values()) < 0:
            given = ", ".join(f"{name}={value}" for name, value in arguments.items())
            raise ValueError(f"{type(self).__name__}: must not be negative, got {given}")

    def get_config(self):
        config = super().get_config()
        config.pop("reduction")
        return {
            **config,
            "localization_weight": self.localization_weight,
            "activation": self.activation,
        }


@keras.saving.register_keras_serializable(package="multibox")
class SSDLoss(DetectionLoss):
    """Smooth L1 on the offsets of positives plus cross-entropy on positives and hard negatives.

    Targets, predictions, the division and `metrics()`: see `DetectionLoss`.

    Args:
        negative_ratio: hard negatives for each positive, mined in each image.
        min_negatives: fewest hard negatives mined in each image.
        localization_weight: weight of the localization part (alpha of equation 1).
        activation: the model's activation. "softmax": cross-entropy over background and classes. "sigmoid":
            binary cross-entropy, summed over the classes. `multibox.loss_of(model)` sets it.

    Raises:
        ValueError: for negative arguments, and as `DetectionLoss`.
    """

    @renamed_arguments(alpha="localization_weight")
    @checked()
    def __init__(
        self,
        *,
        negative_ratio: float = 3,
        min_negatives: int = 0,
        localization_weight: float = 1.0,
        activation: str = "softmax",
        name: str = "ssd_loss",
        **kwargs,
    ):
        super().__init__(localization_weight, activation, name, **kwargs)
        self._check_not_negative(negative_ratio=negative_ratio, min_negatives=min_negatives)
        self.negative_ratio = negative_ratio
        self.min_negatives = min_negatives

    def confidence(self, classes, logits, positive, negative):
        loss = CONFIDENCE_LOSSES[self.activation](classes, logits)
        mined = hard_negatives(loss, positive, negative, self.negative_ratio, self.min_negatives)
        return ops.where(positive | mined, loss, 0.0)

    def get_config(self):
        own = {"negative_ratio": self.negative_ratio, "min_negatives": self.min_negatives}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if "alpha" in config:  # files of version 0.1
            config["localization_weight"] = config.pop("alpha")
        return cls(**config)


def _one_hot(classes, num_classes):
    """(..., num_classes) as they are, or from the class ids (..., 1) of sparse targets; -1 is all zero."""
    if classes.shape[-1] == num_classes:
        return classes
    return ops.one_hot(ops.cast(classes[..., 0], "int32"), num_classes, dtype="float32")
