"""Hard negative mining (paper, section 2.2)."""

from keras import ops


def hard_negatives(confidence_loss, positive, negative, negative_ratio, min_negatives):
    """Chooses, for each image, the background anchors that the network is most wrong about.

    Args:
        confidence_loss: (batch, anchors) classification loss of every anchor.
        positive: (batch, anchors) boolean, matched to an object.
        negative: (batch, anchors) boolean, background.
        negative_ratio: negatives chosen for each positive of the image.
        min_negatives: at least so many are chosen in every image.

    Returns:
        (batch, anchors) boolean.
    """
    wanted = ops.sum(ops.cast(positive, "float32"), axis=1, keepdims=True) * negative_ratio
    wanted = ops.maximum(wanted, min_negatives)
    hardness = ops.where(negative, confidence_loss, -1.0)  # losses are never negative
    rank = ops.argsort(ops.argsort(-hardness, axis=1), axis=1)
    return negative & (ops.cast(rank, "float32") < wanted)
