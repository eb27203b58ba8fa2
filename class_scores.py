"""What class logits mean: a choice among all classes (softmax), or a yes or no for each one (sigmoid).

The decoder reads scores from the logits, the loss compares the logits with the truth, and the model says,
in its `MultiBox` layer, which of the two its logits are. Column 0 is background.
"""

from typing import NamedTuple

from keras import ops


class Reading(NamedTuple):
    """One way to read logits (..., 1 + num_classes).

    Attributes:
        scores: function from logits to the scores (..., num_classes) of the objects.
        loss: function from one-hot classes and logits, shaped alike, to the loss (...), never negative.
    """

    scores: callable
    loss: callable


def _softmax_scores(logits):
    return ops.softmax(logits, axis=-1)[..., 1:]


def _softmax_loss(classes, logits):
    return -ops.sum(classes * ops.log_softmax(logits, axis=-1), axis=-1)


def _sigmoid_scores(logits):
    return ops.sigmoid(logits[..., 1:])


def _sigmoid_loss(classes, logits):
    # Background is that no object says yes, so its own column has nothing to learn.
    cross_entropy = ops.binary_crossentropy(classes[..., 1:], logits[..., 1:], from_logits=True)
    return ops.sum(cross_entropy, axis=-1)


READINGS = {
    "softmax": Reading(_softmax_scores, _softmax_loss),
    "sigmoid": Reading(_sigmoid_scores, _sigmoid_loss),
}


def check_activation(activation, owner):
    """Returns `activation` if it is a row of `READINGS`, or raises ValueError that names the owner."""
    if activation not in READINGS:
        raise ValueError(f"{owner}: activation must be one of {', '.join(READINGS)}, got {activation!r}")
    return activation
