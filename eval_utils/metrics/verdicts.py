"""What is wrong with each detection and each object, in the terms of TIDE (Bolya et al., 2020).

`error_types` and the confusion matrix stand on this matching.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...boxes import area
from .flat import Truth, best_of_pairs, object_pairs

# TIDE's thresholds and its number of detections of an image.
FOREGROUND, BACKGROUND = 0.5, 0.1
MAX_DETECTIONS = 100

RIGHT, IGNORED, SURPLUS, MISS = "right", "ignored", "surplus", "Miss"
CLS, LOC, BOTH, DUPE, BKG = "Cls", "Loc", "Both", "Dupe", "Bkg"
_TEXT = "<U7"


@dataclass(frozen=True, eq=False)
class DetectionVerdicts:
    """What each detection is. Detections stand in the order of the images, as they were passed.

    Attributes:
        images: (n,) index of the image.
        labels: (n,) class id, from 1.
        scores: (n,) score.
        boxes: (n, 4) xyxy in pixels.
        verdict: (n,) one of "right", "Cls", "Loc", "Both", "Dupe", "Bkg"; "ignored" (on a difficult object or
            in a crowd region of its class); "surplus" (not among the 100 best of its image).
        objects: (n,) index of the object that the verdict is about, -1 for none.
        iou: (n,) IoU with this object; without one, with the nearest object of any class.
    """

    images: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    verdict: np.ndarray
    objects: np.ndarray
    iou: np.ndarray


@dataclass(frozen=True, eq=False)
class ObjectVerdicts:
    """What became of each object, in the order of the data set.

    Attributes:
        images: (n,) index of the image.
        labels: (n,) class id, from 1.
        boxes: (n, 4) xyxy in pixels.
        verdict: (n,) "right" (found), "Cls" (found only under another class), "Loc" (found only by a loose
            box), "Miss" or "ignored" (difficult or a crowd region).
        detections: (n,) index of the detection that found it, or of the best "Cls" or "Loc" one; -1 for none.
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    verdict: np.ndarray
    detections: np.ndarray


def judge(rows: np.ndarray, images: np.ndarray, truth: Truth) -> tuple[DetectionVerdicts, ObjectVerdicts]:
    """The verdicts on all detections and objects.

    Args:
        rows: (n, 6) detections of `flat_detections`.
        images: (n,) index of the image of each.
        truth: the objects.
    """
    labels, scores, boxes = rows[:, 0].astype(int), rows[:, 1], rows[:, 2:]
    counted = np.flatnonzero(~truth.difficult)
    detection, item, overlap = object_pairs(boxes, images, truth.boxes[counted], truth.images[counted])
    item = counted[item]
    same = labels[detection] == truth.labels[item]
    order = np.lexsort((-scores, images))
    surplus = np.zeros(len(rows), bool)
    surplus[order] = _place_in_group(images[order]) >= MAX_DETECTIONS
    close = same & (overlap >= FOREGROUND) & ~surplus[detection]
    matched = greedy_matches(detection[close], item[close], overlap[close], scores)

    pairs = {"own": same, "other": ~same, "any": np.ones(len(same), bool)}
    best = {
        name: best_of_pairs(detection[mask], item[mask], overlap[mask], len(rows))
        for name, mask in pairs.items()
    }
    ignored = on_ignored(labels, boxes, images, truth) & (matched < 0)
    verdict = _verdicts(matched >= 0, best["own"][1], best["other"][1], best["any"][1])
    verdict[ignored] = IGNORED
    verdict[surplus] = SURPLUS
    objects, iou = _subjects(verdict, matched, best, (detection, item, overlap))
    found = DetectionVerdicts(images, labels, scores, boxes, verdict, objects, iou)
    return found, _object_verdicts(found, truth)


def greedy_matches(detection, item, overlap, scores):
    """Gives each detection, from the highest score on, the free object with the highest IoU of its pairs.

    Args:
        detection: (pairs,) index of the detection.
        item: (pairs,) index of the object.
        overlap: (pairs,) IoU.
        scores: (detections,) scores. Of equal ones, the first goes first.

    Returns:
        (detections,) index of the object of each, -1 for none.
    """
    matched, taken = np.full(len(scores), -1), set()
    rank = np.empty(len(scores), int)
    rank[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    order = np.lexsort((item, -overlap, rank[detection]))
    # One by one, since each match takes an object away. Few pairs have an IoU that counts.
    for d, i in zip(detection[order].tolist(), item[order].tolist(), strict=True):
        if matched[d] < 0 and i not in taken:
            matched[d] = i
            taken.add(i)
    return matched


def on_ignored(labels, boxes, images, truth):
    """(n,) whether a detection lies on a difficult object or in a crowd region of its class.

    A difficult object counts from an IoU of 0.5 on. Of a detection in a crowd region, more than half of its
    area must be inside, as for COCO and TIDE: the region has no outline of single objects.
    """
    found = np.zeros(len(labels), bool)
    for mask, in_crowd in ((truth.difficult & ~truth.crowd, False), (truth.crowd, True)):
        regions, places = truth.boxes[mask], truth.images[mask]
        detection, item, overlap = object_pairs(boxes, images, regions, places)
        same = labels[detection] == truth.labels[mask][item]
        if in_crowd:
            inner = _intersection(boxes[detection], regions[item])
            hit = inner > FOREGROUND * area(boxes[detection])
        else:
            hit = overlap >= FOREGROUND
        found[detection[same & hit]] = True
    return found


def _intersection(a, b):
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    return np.prod(np.maximum(sides, 0), axis=1)


def _place_in_group(groups):
    """(n,) position of each element in its group; equal groups stand together."""
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))


def _verdicts(right, own, other, nearest):
    """TIDE's error types, from the highest IoU with objects of the own class, of others and of any class."""
    verdict = np.full(len(right), BOTH, _TEXT)
    # In this order the first one that fits decides; so the last one is set first.
    verdict[nearest <= BACKGROUND] = BKG
    verdict[own >= FOREGROUND] = DUPE
    verdict[other >= FOREGROUND] = CLS
    verdict[(own >= BACKGROUND) & (own <= FOREGROUND)] = LOC
    verdict[right] = RIGHT
    return verdict


def _subjects(verdict, matched, best, pairs):
    """The object that each verdict is about, and the IoU with it."""
    detection, item, overlap = pairs
    objects, iou = matched.copy(), best["any"][1].copy()
    for name, kinds in (("own", (LOC, DUPE)), ("other", (CLS,))):
        mine = np.isin(verdict, kinds)
        objects[mine], iou[mine] = best[name][0][mine], best[name][1][mine]
    objects[~np.isin(verdict, (RIGHT, LOC, DUPE, CLS))] = -1
    right = matched[detection] == item
    iou[detection[right]] = overlap[right]
    return objects, iou


def _object_verdicts(found, truth):
    verdict = np.full(len(truth.labels), MISS, _TEXT)
    detections = np.full(len(truth.labels), -1)
    # From the lowest score on, so that the best detection has the last word; of equal ones, the first.
    by_score = np.argsort(-found.scores, kind="stable")[::-1]
    for kinds in ((CLS, LOC), (RIGHT,)):
        mine = by_score[np.isin(found.verdict[by_score], kinds)]
        verdict[found.objects[mine]] = found.verdict[mine]
        detections[found.objects[mine]] = mine
    verdict[truth.difficult] = IGNORED
    return ObjectVerdicts(truth.images, truth.labels, truth.boxes, verdict, detections)
