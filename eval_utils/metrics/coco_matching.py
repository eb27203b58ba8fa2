"""Matches detections to objects by the rules of pycocotools, all images and classes at once.

pycocotools goes through the detections of an image and class by descending score. Here the first detections
of all images and classes are matched together, then the second ones, and so on. Only detections that overlap
an object enough take part: a few rounds suffice.
"""

from __future__ import annotations

import numpy as np

from ...boxes import TINY, area
from .flat import SIZES, object_pairs, outside
from .matches import Matches

MAX_DETECTIONS = 100
THRESHOLDS = np.linspace(0.5, 0.95, 10)


def coco_matches(rows, images, truth, num_classes, ignored):
    """Matches of each class and range of sizes.

    Args:
        rows: (n, 6) all detections, as of `flat_detections`.
        images: (n,) index of the image of each.
        truth: `Truth`, the objects.
        num_classes: number of classes of the data set.
        ignored: (objects,) bool, objects that never count. Crowd regions must be among them.

    Returns:
        {class id: {name of `SIZES`: `Matches`}}.
    """
    groups = images * (num_classes + 1) + rows[:, 0].astype(int)
    order = np.lexsort((-rows[:, 1], groups))
    ranks = _ranks(groups[order])
    order, ranks = order[ranks < MAX_DETECTIONS], ranks[ranks < MAX_DETECTIONS]
    rows, images, groups = rows[order], images[order], groups[order]
    pairs = _Pairs(rows[:, 2:], groups, truth, truth.images * (num_classes + 1) + truth.labels)
    of_class = [np.flatnonzero(rows[:, 0] == label) for label in range(1, num_classes + 1)]
    of_class = [mine[np.argsort(-rows[mine, 1], kind="stable")] for mine in of_class]

    result = {label: {} for label in range(1, num_classes + 1)}
    for name, (least, most) in SIZES.items():
        out = ignored | outside(truth.areas, least, most)
        found, doubtful = pairs.match(out)
        doubtful |= ~found & outside(area(rows[:, 2:]), least, most)
        for label, mine in enumerate(of_class, start=1):
            counts = np.bincount(truth.images[(truth.labels == label) & ~out], minlength=truth.num_images)
            result[label][name] = Matches(
                rows[mine, 1], images[mine], found[:, mine], doubtful[:, mine], counts, ranks[mine]
            )
    return result


def _ranks(groups):
    """(n,) position of each item in its group; `groups` is sorted."""
    return np.arange(len(groups)) - np.searchsorted(groups, groups, "left")


class _Pairs:
    """The pairs of a detection and an object of its image and class that overlap enough."""

    def __init__(self, boxes, groups, truth, object_groups):
        by_group = np.argsort(object_groups, kind="stable")
        detection, item, overlap = object_pairs(boxes, groups, truth.boxes[by_group], object_groups[by_group])
        item = by_group[item]
        in_crowd = truth.crowd[item]
        overlap[in_crowd] = _share_inside(boxes[detection[in_crowd]], truth.boxes[item[in_crowd]])
        near = overlap >= THRESHOLDS[0]
        detection, item, overlap = detection[near], item[near], overlap[near]
        # Of the pairs of a detection the last possible one is taken: the highest IoU and, among equal ones,
        # the last object.
        order = np.lexsort((item, overlap, detection))
        self.detection, self.item, self.overlap = detection[order], item[order], overlap[order]
        self.crowd = truth.crowd
        self.num_detections = len(boxes)
        # Round of each pair: the position of its detection among those of its group that have pairs.
        candidates, of_pair = np.unique(self.detection, return_inverse=True)
        self.rounds = _ranks(groups[candidates])[of_pair]

    def match(self, ignored):
        """Two arrays (thresholds, detections): which have found an object that counts, which an ignored one.

        Args:
            ignored: (objects,) bool, objects that are taken only if no other one is left.
        """
        found = np.zeros((len(THRESHOLDS), self.num_detections), bool)
        doubtful = np.zeros_like(found)
        taken = np.zeros((len(ignored), len(THRESHOLDS)), bool)
        order = np.argsort(self.rounds, kind="stable")
        for pairs in np.split(order, np.cumsum(np.bincount(self.rounds))[:-1]) if len(order) else []:
            detection, item = self.detection[pairs], self.item[pairs]
            free = self.crowd[item][:, None] | ~taken[item]
            possible = free & (self.overlap[pairs][:, None] >= THRESHOLDS)
            preference = np.arange(1, len(pairs) + 1) + len(pairs) * ~ignored[item]
            first = np.flatnonzero(np.diff(detection, prepend=-1))
            best = np.maximum.reduceat(possible * preference[:, None], first, axis=0)  # (round, thresholds)
            mine, threshold = np.nonzero(best)
            best = best[mine, threshold]
            taken[item[(best - 1) % len(pairs)], threshold] = True
            counts = best > len(pairs)
            found[threshold[counts], detection[first][mine[counts]]] = True
            doubtful[threshold[~counts], detection[first][mine[~counts]]] = True
        return found, doubtful


def _share_inside(boxes, regions):
    """(n,) share of each box that lies in its region; 0 for a box without area."""
    sides = np.minimum(boxes[:, 2:], regions[:, 2:]) - np.maximum(boxes[:, :2], regions[:, :2])
    return np.prod(np.maximum(sides, 0), axis=1) / np.maximum(area(boxes), TINY)
