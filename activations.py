"""What class logits mean: one choice among all classes (softmax), or a yes or no for each class (sigmoid).

The model's `MultiBox` layer states which of the two its logits are. The decoder reads scores from the logits
(here), the loss compares the logits with the ground truth (`losses/ssd_loss.py`). Column 0 is background.
Keras is imported by the functions that use it, because checking a name needs none.
"""

from __future__ import annotations

from .messages import did_you_mean


def softmax_scores(logits):
    """One choice among background and classes: (..., 1 + num_classes) to (..., num_classes)."""
    from keras import ops

    return ops.softmax(logits, axis=-1)[..., 1:]


def sigmoid_scores(logits):
    """A yes or no for each class, the background column unused: same shapes."""
    from keras import ops

    return ops.sigmoid(logits[..., 1:])


SCORES = {"softmax": softmax_scores, "sigmoid": sigmoid_scores}


def check_activation(activation: str, owner: str) -> str:
    """Returns `activation` if it is a row of `SCORES`, or raises ValueError that names the owner."""
    if not isinstance(activation, str) or activation not in SCORES:
        hint = did_you_mean(activation, SCORES) if isinstance(activation, str) else ""
        raise ValueError(f"{owner}: activation must be one of {', '.join(SCORES)}, got {activation!r}{hint}")
    return activation
