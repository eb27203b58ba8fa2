"""A small data set with files, and detections that make an error of each type."""

from __future__ import annotations

import numpy as np

from multibox.data_generator import DetectionDataset, Record

LEFT, RIGHT = [0, 0, 40, 40], [50, 0, 90, 40]
HOSTILE = '<img src=x onerror="window.hit=1">'


def picture() -> np.ndarray:
    """80 rows, 100 columns, RGB."""
    image = np.full((80, 100, 3), 200, np.uint8)
    image[:40, :40], image[:40, 50:90] = (180, 40, 40), (40, 40, 180)
    return image


def data_with_errors(
    names: tuple[str, ...] = ("cat", "dog"), ids: tuple[str, str] = ("first", "second")
) -> tuple[DetectionDataset, list[np.ndarray]]:
    """Two images. The detections are right, Dupe, Loc, Cls, Bkg, Both; Cls. One object is missed."""
    records = [
        Record(ids[0], picture, 100, 80, np.array([LEFT, RIGHT], np.float32), np.array([1, 1], np.int32)),
        Record(ids[1], picture, 100, 80, np.array([LEFT, RIGHT], np.float32), np.array([1, 2], np.int32)),
    ]
    first = [
        [1, 0.9, *LEFT],
        [1, 0.8, 2, 0, 40, 40],
        [1, 0.7, 75, 0, 90, 40],
        [2, 0.6, *LEFT],
        [1, 0.5, 0, 60, 10, 70],
        [2, 0.4, 0, 20, 40, 60],
    ]
    return DetectionDataset(names, records, "two images"), [np.array(first), np.array([[2, 0.85, *LEFT]])]
