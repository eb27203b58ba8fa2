"""What runs a model of any kind, what is known about it, and its detections in pixels."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from weakref import WeakKeyDictionary

import keras
import numpy as np

from ..arguments import checked
from ..boxes import clip
from ..layers.multibox import multibox_of, unwrapped
from ..models.compiled import compiled
from ..models.detector import channels_of, decoder_of, for_detect, model_of, value_range_of
from .exported import ExportedDetector, Facts, is_exported, load_detector

# Images (batch, height, width, channels) and the lowest score that matters, to (batch, max_detections, 6).
Run = Callable[[np.ndarray, float], np.ndarray]

# {model: (options of its decoder, what runs it)}. A second call compiles nothing. What runs a model holds its
# layers and not the model itself, which would then never be freed.
_runs: WeakKeyDictionary[keras.Model, tuple[dict | None, Run]] = WeakKeyDictionary()
_lock = threading.Lock()


def run_of(model: keras.Model | ExportedDetector) -> Run:
    """The function that runs a model, for training or for inference. It is compiled once, see `compiled`.

    Rows whose scores are below the lowest one may be left out. Threads may share the function.
    """
    if isinstance(model, ExportedDetector):
        return lambda images, min_score: model.predict_on_batch(images)
    model = unwrapped(model)
    decoder = decoder_of(model)
    options = decoder and decoder.get_config()
    with _lock:
        if model not in _runs or _runs[model][0] != options:
            _runs[model] = options, _run(model, decoder)
        return _runs[model][1]


def _run(model, decoder):
    if decoder is not None and model.outputs[0]._keras_history.operation is not decoder:
        whole = compiled(keras.Model(model.inputs, model.outputs))  # something follows the decoder
        return lambda images, min_score: _on_host(whole([images]))
    with_score = compiled(for_detect(model))

    def run(images, min_score):
        # The decoder takes scores above a number, and this is the next lower one.
        below = np.nextafter(np.float32(min_score), np.float32(-1))
        return _on_host(with_score([images, below]))

    return run


def _on_host(outputs):
    return keras.ops.convert_to_numpy(outputs[0])


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
