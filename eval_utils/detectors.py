"""The inference model of any model, and its detections in pixels."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import keras
import numpy as np

from ..arguments import checked
from ..boxes import clip
from ..models.detector import is_detector, to_inference

# The detectors of training models. With them, a second call of `detect` does not compile again.
_detectors: WeakKeyDictionary = WeakKeyDictionary()


def detector_of(model: keras.Model) -> keras.Model:
    """The model itself if it decodes, else its inference model, which is kept for the next call."""
    if is_detector(model):
        return model
    if model not in _detectors:
        _detectors[model] = to_inference(model)
    return _detectors[model]


@checked(width=1, height=1)
def to_pixels(rows: np.ndarray, width: int, height: int) -> np.ndarray:
    """Converts the relative detections (max_detections, 6) of one image to pixels; removes padding rows.

    Returns:
        (detections, 6), with boxes in pixels, clipped to the image.

    Raises:
        ValueError: for rows of another shape, such as those of a whole batch.
    """
    if np.ndim(rows) != 2 or np.shape(rows)[1] != 6:
        raise ValueError(f"to_pixels: expected the rows (detections, 6) of one image, got {np.shape(rows)}")
    rows = np.array(rows[rows[:, 1] > 0], np.float32)
    rows[:, 2:] = clip(rows[:, 2:] * (width, height, width, height), (0, 0), (width, height))
    return rows
