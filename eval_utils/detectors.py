"""What runs a model of any kind, what is known about it, and its detections in pixels."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

import keras
import numpy as np

from ..arguments import checked
from ..boxes import clip
from ..layers.multibox import multibox_of, unwrapped
from ..models.detector import channels_of, is_detector, model_of, to_inference, value_range_of
from .exported import ExportedDetector, Facts, is_exported, load_detector

# The detectors of training models. With them, a second call of `detect` does not compile again.
_detectors: WeakKeyDictionary = WeakKeyDictionary()


def detector_of(model: keras.Model | ExportedDetector) -> keras.Model | ExportedDetector:
    """The model itself if it decodes, else its inference model, which is kept for the next call."""
    if isinstance(model, ExportedDetector):
        return model
    if is_detector(model := unwrapped(model)):
        return model
    if model not in _detectors:
        _detectors[model] = to_inference(model)
    return _detectors[model]


def facts_of(model: keras.Model | ExportedDetector) -> Facts:
    """What is known about a model of this package, or an exported one.

    Raises:
        TypeError: for anything else.
        ValueError: if a Keras model is not of this package.
    """
    if isinstance(model, ExportedDetector):
        return model.facts
    multibox = multibox_of(model)
    size = multibox.anchors.image_size
    return Facts(size, channels_of(model), value_range_of(model), multibox.num_classes, multibox.class_names)


def opened(
    model: keras.Model | ExportedDetector | str | os.PathLike[str], owner: str
) -> keras.Model | ExportedDetector:
    """The model itself, or the saved or exported one at a path. Otherwise as `model_of`."""
    if isinstance(model, keras.Model | ExportedDetector):
        return model
    return load_detector(model) if is_exported(model) else model_of(model, owner)


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
