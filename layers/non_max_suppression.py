"""Non-max suppression of a fixed number of score-sorted candidates, for a batch of classes and images."""

import keras
from keras import ops

from ..boxes import pairwise_iou


def non_max_suppression(boxes, scores, iou_threshold, score_threshold, top_k):
    """Greedy NMS within each class, then the `top_k` best of all classes.

    Args:
        boxes: (batch, classes, candidates, 4) xyxy, each class by descending score.
        scores: (batch, classes, candidates).
        iou_threshold: a candidate goes if its IoU with a kept, better one is above this.
        score_threshold: only scores above this take part.
        top_k: number of rows to return for an image.

    Returns:
        boxes (batch, top_k, 4), scores (batch, top_k) and class indices (batch, top_k, from 0), by
        descending score; rows after the last detection are zero.
    """
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_nms(boxes, scores, iou_threshold, score_threshold, top_k)
    return portable_nms(boxes, scores, iou_threshold, score_threshold, top_k)


def _tensorflow_nms(boxes, scores, iou_threshold, score_threshold, top_k):
    # TensorFlow's kernel is several times faster than the same in array operations on a CPU.
    import tensorflow as tf

    boxes, scores, classes, _ = tf.image.combined_non_max_suppression(
        ops.transpose(boxes, (0, 2, 1, 3)),
        ops.transpose(scores, (0, 2, 1)),
        max_output_size_per_class=boxes.shape[2],
        max_total_size=top_k,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        clip_boxes=False,
    )
    return boxes, scores, classes


def portable_nms(boxes, scores, iou_threshold, score_threshold, top_k):
    """`non_max_suppression` in `keras.ops` alone, for every backend.

    Compares all pairs of candidates at once: some 13 bytes for each of batch * classes * candidates ** 2
    pairs, 1.3 GB for 32 images of 20 classes with 400 candidates. Take smaller batches if memory is short.
    """
    classes, candidates = boxes.shape[1:3]
    scores, index = keep_best(boxes, scores, iou_threshold, score_threshold, top_k)
    boxes = take_boxes(ops.reshape(boxes, (-1, classes * candidates, 4)), index)
    found = scores > 0
    return boxes * ops.cast(found, boxes.dtype)[..., None], scores, ops.where(found, index // candidates, 0)


def keep_best(boxes, scores, iou_threshold, score_threshold, top_k):
    """The detections as positions among the candidates; arguments as for `non_max_suppression`.

    Returns:
        scores (batch, top_k), descending, 0 after the last detection, and index (batch, top_k) into the
        candidates of all classes laid end to end.
    """
    valid = scores > score_threshold
    scores = ops.where(greedy_keep(boxes, valid, iou_threshold), scores, 0.0)
    count = scores.shape[1] * scores.shape[2]
    scores, index = ops.top_k(ops.reshape(scores, (-1, count)), k=min(top_k, count))
    padding = ((0, 0), (0, max(0, top_k - count)))
    return ops.pad(scores, padding), ops.pad(index, padding)


def take_boxes(boxes, index):
    """Boxes (batch, k, 4) at positions `index` (batch, k) of boxes (batch, n, 4)."""
    return ops.take_along_axis(boxes, index[..., None], axis=1)


def greedy_keep(boxes, valid, iou_threshold):
    """Which candidates greedy NMS keeps.

    Starts with all and repeats "kept is who is suppressed by nobody kept" until nothing changes. Round
    by round the answer is final for at least one more candidate from the best down, so this ends, and
    with the greedy result; in practice after as many rounds as the longest chain of overlaps has links.

    Args:
        boxes: (..., candidates, 4) xyxy by descending score.
        valid: (..., candidates) boolean, who takes part.
        iou_threshold: see `non_max_suppression`.

    Returns:
        (..., candidates) boolean.
    """
    candidates = boxes.shape[-2]
    rank = ops.arange(candidates)
    better = rank[:, None] > rank[None, :]  # (candidates, candidates): column is better than row
    rivals = (pairwise_iou(boxes) > iou_threshold) & better

    def survivors(keep):
        return valid & ~ops.any(rivals & keep[..., None, :], axis=-1)

    def changed(keep, previous):
        return ops.any(keep != previous)

    def step(keep, previous):
        return survivors(keep), keep

    keep, _ = ops.while_loop(changed, step, (survivors(valid), valid), maximum_iterations=candidates)
    return keep
