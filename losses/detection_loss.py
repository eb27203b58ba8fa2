"""What the losses of a detector share: localization, the division by the positives, checks, metrics."""

import keras
from keras import ops

from ..class_scores import check_activation

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


class DetectionLoss(keras.losses.Loss):
    """Smooth L1 on the offsets of positives plus a confidence loss, which subclasses define.

    `y_true`: (batch, num_anchors, 4 + 1 + num_classes) as `GroundTruthEncoder` makes it; a row whose
    class part is all zero is neutral and ignored. `y_pred`: same shape, offsets and class *logits*.
    Sparse targets, (batch, num_anchors, 4 + 1) with a class id of 0 for background and -1 for neutral, are
    expanded here.
    Both parts are divided by the number of positives in the batch (1 when there is none).

    Pass `metrics=loss.metrics()` to `compile` to see the parts in the progress bar and in the CSV log;
    they add up to the loss without weight decay.

    Args:
        alpha: weight of the localization part.
        activation: that of the model, "softmax" or "sigmoid".

    Raises:
        ValueError: for a negative alpha, an unknown activation, another reduction than "sum", or if targets
            and predictions differ in shape.
    """

    def __init__(self, alpha, activation, name, **kwargs):
        # The division by the positives is the reduction; images are summed, not averaged.
        if (reduction := kwargs.pop("reduction", "sum")) != "sum":
            raise ValueError(
                f'{type(self).__name__}: reduction must be "sum", since the loss divides itself, '
                f"got {reduction!r}"
            )
        super().__init__(name=name, reduction="sum", **kwargs)
        self._check_not_negative(alpha=alpha)
        self.alpha = alpha
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
        total = {
            "localization": self.alpha * ops.sum(ops.where(positive, localization, 0.0), axis=1),
            "confidence": ops.sum(confidence, axis=1),
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
        return {**config, "alpha": self.alpha, "activation": self.activation}


@keras.saving.register_keras_serializable(package="multibox")
class SSDLossPart(keras.metrics.Mean):
    """Running mean over images of one part of a `DetectionLoss`; named "localization" or "confidence".

    Args:
        loss: the `DetectionLoss` (or its serialised form).
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
