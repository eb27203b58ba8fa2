"""Average precision and recall from what became of each detection, for all images or for samples of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Numbers of an array of one step; more would only fill the memory.
_STEP = 4_000_000


@dataclass(frozen=True, eq=False)
class Matches:
    """What became of the detections of one class, by descending score, at one or more IoU thresholds.

    Attributes:
        scores: (n,) score of each detection.
        images: (n,) index of its image in the data set.
        right: (thresholds, n) bool, whether it has found an object that counts.
        ignored: (thresholds, n) bool, whether it is neither right nor wrong.
        objects: (images,) number of objects that count in each image.
        ranks: (n,) how many detections of its class and image have a higher score; only `recalls` needs it.
    """

    scores: np.ndarray
    images: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    objects: np.ndarray
    ranks: np.ndarray | None = None

    @property
    def num_objects(self) -> int:
        return int(self.objects.sum())

    def curve(self, threshold=0):
        """Precision and recall after each detection that is not ignored, and the scores, (counted,) each."""
        counted = ~self.ignored[threshold]
        right = np.cumsum(self.right[threshold, counted])
        recall = right / max(self.num_objects, 1)
        return right / np.arange(1, len(right) + 1), recall, self.scores[counted]

    def recalls(self, max_detections):
        """(thresholds,) share of the objects that is found with so many detections an image."""
        if not self.num_objects:
            return np.full(len(self.right), np.nan)
        return self.right[:, self.ranks < max_detections].sum(axis=1) / self.num_objects

    def average_precisions(self, recalls):
        """(thresholds,) average precision; see `sampled_precisions`."""
        once = np.ones((1, len(self.objects)), np.int32)
        return self.sampled_precisions(recalls, once)[0]

    def sampled_precisions(self, recalls, weights):
        """Average precision where images occur several times, or not at all.

        A weight is the same as so many copies of the image. Only the detections that are right need a look:
        the best precision at a recall is that of one of them.

        Args:
            recalls: ascending recalls at which precision is averaged; None for the area under the curve.
            weights: (samples, images) int32, how often each image occurs.

        Returns:
            (samples, thresholds), NaN for samples without objects.
        """
        step = max(1, _STEP // max(len(self.scores), 1))
        parts = [self._sampled(recalls, weights[i : i + step]) for i in range(0, len(weights), step)]
        return np.concatenate(parts)

    def _sampled(self, recalls, weights):
        objects = weights @ self.objects  # (samples,)
        copies = weights.take(self.images, axis=1)  # (samples, n)
        seen_by_all = np.cumsum(copies, axis=1, dtype=np.int32)
        result = np.empty((len(weights), len(self.right)))
        for t, (right, ignored) in enumerate(zip(self.right, self.ignored, strict=True)):
            at = np.flatnonzero(right)
            seen = seen_by_all[:, at]
            if ignored.any():
                seen = seen - np.cumsum(copies * ignored, axis=1, dtype=np.int32)[:, at]
            result[:, t] = _average(np.cumsum(copies[:, at], axis=1), seen, objects, recalls)
        result[objects == 0] = np.nan
        return result


def _average(right, seen, objects, recalls):
    """(samples,) from (samples, found): right ones and all so far, at each detection that is right."""
    precision = right / np.maximum(seen, 1)
    # The precision at a recall is the best precision at this or any higher recall.
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    recall = right / np.maximum(objects, 1)[:, None]
    if recalls is None:
        return np.sum(np.diff(recall, axis=1, prepend=0.0) * envelope, axis=1)
    reached = np.searchsorted(recalls, recall, "right")
    return np.sum(np.diff(reached, axis=1, prepend=0) * envelope, axis=1) / len(recalls)
