"""LiteRT files (`.tflite`), run by LiteRT and the decoder in detect.py."""

from __future__ import annotations

import os
import zipfile

import numpy as np

from ...activations import check_activation
from ...files import read_bytes
from ...limits import MAX_CANDIDATES, MAX_DETECTIONS
from ...messages import one_line
from .program import Program, as_texts

MAX_FILE = 2 << 30  # bytes; a FlatBuffers file has no more


def open_file(path: str | os.PathLike[str]) -> Program:
    """Loads a `.tflite` file.

    Raises:
        ValueError: if LiteRT cannot load it, or if it holds no detector of this package.
    """
    read_bytes(path, MAX_FILE)  # a clear error for what is no file
    from .detect import Detector

    try:
        detector = Detector(path, num_threads=os.cpu_count())
        shape = tuple(detector.runner.get_input_details()["images"]["shape"].tolist())
        outputs = {
            name: tuple(about["shape"]) for name, about in detector.runner.get_output_details().items()
        }
    except zipfile.BadZipFile:
        raise ValueError("it holds no about.json") from None
    except KeyError as error:
        raise ValueError(f"it has no {one_line(error, 200)}") from None
    except Exception as error:  # those of the C++ library have no common base
        raise ValueError(f"LiteRT cannot load this file: {one_line(error, 300)}") from None
    _check(detector, outputs)

    def run(images: np.ndarray) -> np.ndarray:
        rows = np.zeros((len(images), detector.about["max_detections"], 6), np.float32)
        for padded, image in zip(rows, images, strict=True):
            found = detector.rows(image)
            padded[: len(found)] = found
        return rows

    return Program(as_texts(detector.about), shape[1:], run)


def _check(detector, outputs):
    """Raises ValueError for what the decoder cannot work with."""
    about, anchors = detector.about, detector.anchors
    if anchors.ndim != 2 or anchors.shape[1:] != (4,) or anchors.dtype != np.float32:
        raise ValueError(f"its anchors are {anchors.shape} {anchors.dtype}")
    expected = {"offsets": (1, len(anchors), 4), "logits": (1, len(anchors), 1 + about["num_classes"])}
    if outputs != expected:
        raise ValueError(f"its outputs are {outputs}, expected {expected}")
    check_activation(about["activation"], "about.json")
    thresholds = [about["confidence_threshold"], about["iou_threshold"], *about["variances"]]
    counts = [(about["max_detections"], MAX_DETECTIONS), (about["max_candidates"], MAX_CANDIDATES)]
    fits = all(type(count) is int and least <= count <= most for count, (least, most) in counts)
    if not fits or len(thresholds) != 6 or not all(isinstance(t, float) and 0 <= t <= 1 for t in thresholds):
        raise ValueError(f"its thresholds are {thresholds}, its counts {[count for count, _ in counts]}")
