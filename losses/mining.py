"""Hard negative mining (paper, section 2.2), and two rules that also teach images without objects."""

from keras import ops

from .replicas import sum_over_replicas, with_all_replicas


def hard_negatives(confidence_loss, positive, negative, negative_ratio, min_negatives):
    """The paper's rule: chooses, in each image, the background that the network is most wrong about.

    An image without objects gets `min_negatives`.

    Args:
        confidence_loss: (batch, anchors) classification loss of every anchor.
        positive: (batch, anchors) boolean, matched to an object.
        negative: (batch, anchors) boolean, background.
        negative_ratio: negatives chosen for each positive of the image.
        min_negatives: fewest negatives chosen in each image.

    Returns:
        (batch, anchors) boolean.
    """
    wanted = ops.maximum(negative_ratio * _count(positive), min_negatives)
    return _hardest(wanted, confidence_loss, negative)


def hard_negatives_of_all_images(confidence_loss, positive, negative, negative_ratio, min_negatives):
    """As `hard_negatives`, but an image without objects counts like the average image with objects.

    It counts as one positive if the whole batch has no object.
    """
    positives = _count(positive)  # (batch, 1)
    occupied = sum_over_replicas(ops.sum(ops.cast(positives > 0, "float32")))
    total = sum_over_replicas(ops.sum(positives))
    average = ops.where(occupied > 0, total / ops.maximum(occupied, 1.0), 1.0)
    positives = ops.where(positives > 0, positives, average)
    return _hardest(ops.maximum(negative_ratio * positives, min_negatives), confidence_loss, negative)


def hard_negatives_of_the_batch(confidence_loss, positive, negative, negative_ratio, min_negatives):
    """As `hard_negatives`, but the images share their negatives: the hardest of the whole batch.

    A batch without any object counts as one positive for each image. `min_negatives` is multiplied by the
    number of images, too. An image whose anchors are all neutral is none.
    """
    images = number_of_images(positive, negative)
    positives = sum_over_replicas(ops.sum(_count(positive)))
    positives = ops.where(positives > 0, positives, images)
    wanted = ops.maximum(negative_ratio * positives, min_negatives * images)
    return negative & (with_all_replicas(_rank_in_batch, _hardness(confidence_loss, negative)) < wanted)


MINING = {
    "paper": hard_negatives,
    "all_images": hard_negatives_of_all_images,
    "batch": hard_negatives_of_the_batch,
}


def number_of_images(positive, negative):
    """The number of images of the whole batch with an anchor that counts."""
    return sum_over_replicas(ops.sum(ops.cast(ops.any(positive | negative, axis=1), "float32")))


def _count(chosen):
    return ops.sum(ops.cast(chosen, "float32"), axis=1, keepdims=True)


def _hardest(wanted, confidence_loss, negative):
    """The `wanted` negatives of each row with the highest loss."""
    return negative & (_rank(_hardness(confidence_loss, negative)) < wanted)


def _hardness(confidence_loss, negative):
    return ops.where(negative, confidence_loss, -1.0)  # losses are never negative


def _rank(hardness):
    """The place of each anchor in its row: 0 for the hardest."""
    return ops.cast(ops.argsort(ops.argsort(-hardness, axis=1), axis=1), "float32")


def _rank_in_batch(hardness):
    return ops.reshape(_rank(ops.reshape(hardness, (1, -1))), ops.shape(hardness))
