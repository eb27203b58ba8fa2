"""SSDLoss: localization and confidence loss of the paper (section 2.2, equations 1 to 3)."""

import keras
from keras import ops

from ..class_scores import READINGS, check_activation
from .hard_negatives import hard_negatives

SPARSE = 4 + 1  # columns of sparse targets, which name the class by its id


def smooth_l1(errors):
    """Quadratic below 1, linear above (Girshick, "Fast R-CNN", equation 3)."""
    size = ops.abs(errors)
    return ops.where(size < 1, 0.5 * ops.square(size), size - 0.5)


def _one_hot(classes, num_classes):
    """(..., num_classes) as they are, or from the class ids (..., 1) of sparse targets; -1 is all zero."""
    if classes.shape[-1] == num_classes:
        return classes
    return ops.one_hot(ops.cast(classes[..., 0], "int32"), num_classes, dtype="float32")


@keras.saving.register_keras_serializable(package="multibox")
class SSDLoss(keras.losses.Loss):
    """Smooth L1 on the offsets of positives plus cross-entropy on positives and hard negatives.

    `y_true`: (batch, num_anchors, 4 + 1 + num_classes) as `GroundTruthEncoder` makes it; a row whose
    class part is all zero is neutral and ignored. `y_pred`: same shape, offsets and class *logits*.
    Sparse targets, (batch, num_anchors, 4 + 1) with a class id of 0 for background and -1 for neutral, are
    expanded here.
    Both parts are divided by the number of positives in the batch (1 when there is none).

    Pass `metrics=loss.metrics()` to `compile` to see the parts in the progress bar and in the CSV log;
    they add up to the loss without weight decay.

    Args:
        negative_ratio: hard negatives for each positive, mined in each image.
        min_negatives: hard negatives mined in each image at least.
        alpha: weight of the localization part.
        activation: that of the model. "softmax": cross-entropy over background and classes; "sigmoid":
            binary cross-entropy, summed over the classes (the background column counts for nothing).
            `multibox.loss_of(model)` sets it.

    Raises:
        ValueError: for negative arguments, an unknown activation, another reduction than "sum", or if targets
            and predictions differ in shape.
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
        # The division by the positives is the reduction; images are summed, not averaged.
        if (reduction := kwargs.pop("reduction", "sum")) != "sum":
            raise ValueError(
                f'SSDLoss: reduction must be "sum", since the loss divides itself, got {reduction!r}'
            )
        super().__init__(name=name, reduction="sum", **kwargs)
        if min(negative_ratio, min_negatives, alpha) < 0:
            raise ValueError(
                "SSDLoss: negative_ratio, min_negatives and alpha must not be negative, "
                f"got {negative_ratio}, {min_negatives} and {alpha}"
            )
        self.negative_ratio = negative_ratio
        self.min_negatives = min_negatives
        self.alpha = alpha
        self.activation = check_activation(activation, "SSDLoss")

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

        confidence = READINGS[self.activation].loss(classes, y_pred[..., 4:])
        mined = hard_negatives(confidence, positive, negative, self.negative_ratio, self.min_negatives)
        localization = ops.sum(smooth_l1(y_pred[..., :4] - offsets), axis=-1)

        num_positives = ops.maximum(ops.sum(ops.cast(positive, "float32")), 1.0)
        total = {
            "localization": self.alpha * ops.sum(ops.where(positive, localization, 0.0), axis=1),
            "confidence": ops.sum(ops.where(positive | mined, confidence, 0.0), axis=1),
        }
        return {part: value / num_positives for part, value in total.items()}

    def metrics(self):
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
                "SSDLoss: expected targets and predictions of one shape (batch, num_anchors, 4 + 1 + "
                f"num_classes), or sparse targets (batch, num_anchors, {SPARSE}), got targets {true} and "
                f"predictions {pred}; the encoder and the model must share the anchor spec and num_classes"
            )

    def get_config(self):
        config = super().get_config()
        config.pop("reduction")
        return {
            **config,
            "negative_ratio": self.negative_ratio,
            "min_negatives": self.min_negatives,
            "alpha": self.alpha,
            "activation": self.activation,
        }


@keras.saving.register_keras_serializable(package="multibox")
class SSDLossPart(keras.metrics.Mean):
    """Running mean over images of one part of an `SSDLoss`; named "localization" or "confidence".

    Args:
        loss: the `SSDLoss` (or its serialised form).
        part: "localization" or "confidence".
    """

    def __init__(self, loss, part, name=None, **kwargs):
        super().__init__(name=name or part, **kwargs)
        self.loss = keras.saving.deserialize_keras_object(loss) if isinstance(loss, dict) else loss
        self.part = part

    def update_state(self, y_true, y_pred, sample_weight=None):
        value = ops.sum(self.loss.parts(y_true, y_pred)[self.part])
        # Weighted by the batch size, as Keras does for the loss itself.
        super().update_state(value, sample_weight=ops.cast(ops.shape(y_true)[0], "float32"))

    def get_config(self):
        loss = keras.saving.serialize_keras_object(self.loss)
        return {"loss": loss, "part": self.part, "name": self.name, "dtype": self.dtype}
