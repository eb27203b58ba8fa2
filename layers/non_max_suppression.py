"""Non-maximum suppression of a fixed number of score-sorted candidates, for a batch of images and classes."""

import keras
from keras import ops

from ..boxes import pairwise_iou


def non_max_suppression(boxes, scores, iou_threshold, score_threshold, max_detections):
    """Runs greedy NMS within each class, then selects the `max_detections` best of all classes.

    Args:
        boxes: (batch, classes, candidates, 4) xyxy, by descending score within each class.
        scores: (batch, classes, candidates).
        iou_threshold: a candidate is suppressed if its IoU with a better, kept candidate is above this.
        score_threshold: only candidates with scores above this take part.
        max_detections: number of rows to return per image.

    Returns:
        By descending score: boxes (batch, max_detections, 4), scores (batch, max_detections) and class
        indices from 0 (batch, max_detections). Rows after the last detection are zero.
    """
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_nms(boxes, scores, iou_threshold, score_threshold, max_detections)
    return portable_nms(boxes, scores, iou_threshold, score_threshold, max_detections)


def _tensorflow_nms(boxes, scores, iou_threshold, score_threshold, max_detections):
    # On a CPU, TensorFlow's kernel is several times faster than `portable_nms`.
    import tensorflow as tf

    boxes, scores, classes, _ = tf.image.combined_non_max_suppression(
        ops.transpose(boxes, (0, 2, 1, 3)),
        ops.transpose(scores, (0, 2, 1)),
        max_output_size_per_class=boxes.shape[2],
        max_total_size=max_detections,
        iou_threshold=iou_threshold,
        score_threshold=score_threshold,
        clip_boxes=False,
    )
    return boxes, scores, classes


def portable_nms(boxes, scores, iou_threshold, score_threshold, max_detections):
    """`non_max_suppression` in pure `keras.ops`, for every backend.

    It compares all pairs of candidates at once, which takes about 13 bytes for each of
    batch * classes * candidates ** 2 pairs. 32 images with 20 classes and 400 candidates need 1.3 GB. Use
    smaller batches if memory is short.
    """
    classes, candidates = boxes.shape[1:3]
    scores, index = keep_best(boxes, scores, iou_threshold, score_threshold, max_detections)
    boxes = take_boxes(ops.reshape(boxes, (-1, classes * candidates, 4)), index)
    found = scores > 0
    return boxes * ops.cast(found, boxes.dtype)[..., None], scores, ops.where(found, index // candidates, 0)


def keep_best(boxes, scores, iou_threshold, score_threshold, max_detections):
    """Selects the detections by their index; arguments as for `non_max_suppression`.

    Returns:
        scores (batch, max_detections), descending, 0 after the last detection; and index (batch,
        max_detections) into the concatenated candidates of all classes.
    """
    valid = scores > score_threshold
    scores = ops.where(greedy_keep(boxes, valid, iou_threshold), scores, 0.0)
    count = scores.shape[1] * scores.shape[2]
    scores, index = best_scores(ops.reshape(scores, (-1, count)), min(max_detections, count))
    padding = ((0, 0), (0, max(0, max_detections - count)))
    return ops.pad(scores, padding), ops.pad(index, padding)


def best_scores(scores, k):
    """The k largest of scores (..., n), descending, and their index; of equal ones, the first comes first."""
    found, index = ops.top_k(scores, k=k)
    return _in_order(scores, found[..., -1:], k) if keras.backend.backend() == "torch" else (found, index)


def _in_order(scores, worst, k):
    """`best_scores` with torch, whose top_k takes any of equal scores, in any order."""
    count = scores.shape[-1]
    place = -ops.arange(count, dtype="float32")
    rank = ops.where(scores > worst, 1.0, ops.where(scores == worst, place, -count))
    index = ops.sort(ops.top_k(rank, k=k)[1], axis=-1)
    found = ops.take_along_axis(scores, index, axis=-1)
    order = ops.argsort(-found, axis=-1)  # stable
    return ops.take_along_axis(found, order, axis=-1), ops.take_along_axis(index, order, axis=-1)


def take_boxes(boxes, index):
    """Boxes (batch, k, 4) at positions `index` (batch, k) of boxes (batch, n, 4)."""
    return ops.take_along_axis(boxes, index[..., None], axis=1)


def greedy_keep(boxes, valid, iou_threshold):
    """Which candidates greedy NMS keeps.

    Starts with every candidate kept, then repeatedly recomputes "kept = not suppressed by a better kept
    candidate" until nothing changes. Each round settles at least one more candidate in score order, so the
    loop ends with the greedy result. In practice it takes as many rounds as the longest chain of overlaps.

    Args:
        boxes: (..., candidates, 4) xyxy by descending score.
        valid: (..., candidates) boolean, which candidates take part.
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
