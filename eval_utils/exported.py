"""`ExportedDetector`: a file that `export` wrote, run by ONNX Runtime. It needs no backend of Keras."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np

from ..arguments import checked
from ..class_names import check_names
from ..data_generator.pixels import ValueRange, checked_pixels
from ..files import read_bytes
from ..limits import NUM_CLASSES
from ..messages import one_line
from .packages import need_packages

# What an exported file says about its detector, besides the shapes of its input and output.
NUM_CLASSES_KEY, CLASS_NAMES_KEY, VALUE_RANGE_KEY = "num_classes", "class_names", "value_range"
SUFFIX = ".onnx"
MAX_FILE = 2 << 30  # bytes; a Protocol Buffers file has no more
MAX_TEXT = 1 << 20  # characters of a value in the metadata
_ERRORS_ONLY = 3


class Facts(NamedTuple):
    """What is known about a detector.

    Attributes:
        image_size: (height, width) of its input in pixels.
        channels: number of channels of its input.
        value_range: the `value_range` of the images that it was trained on, see `read_image`; or None.
        num_classes: number of object classes, background not counted.
        class_names: names of the classes 1, 2, ... or None.
    """

    image_size: tuple[int, int]
    channels: int
    value_range: ValueRange
    num_classes: int
    class_names: tuple[str | None, ...] | None


class ExportedDetector:
    """A detector in a file that `export` wrote. `load_detector` makes it.

    `detect`, `predict_dataset` and `predict_files` take it in place of a model. It runs on the CPU.

    Attributes:
        path: path of the file.
        facts: what the file says about its detector.
        metadata: {key: text} of the file: class names, thresholds, the version of multibox that wrote it, ...
    """

    def __init__(self, path: str, session: Any):
        self.path = path
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self._session = session
        self.facts = _facts(path, session, self.metadata)

    def __repr__(self):
        height, width = self.facts.image_size
        return f"<ExportedDetector: {self.path}, {height}x{width}, {self.facts.num_classes} classes>"

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        """Runs the detector on images of its own size.

        Args:
            images: (batch, height, width, channels) uint8, RGB first.

        Returns:
            (batch, max_detections, 6) float32 rows [class_id, score, xmin, ymin, xmax, ymax] by descending
            score, coordinates relative (0..1, not clipped), zero rows as padding.

        Raises:
            ValueError: for images of another size or type.
        """
        images = np.asarray(images)
        expected = (*self.facts.image_size, self.facts.channels)
        if images.ndim != 4 or images.shape[1:] != expected or images.dtype != np.uint8:
            sides = ", ".join(map(str, expected))
            raise ValueError(
                f"{self.path}: expected images (batch, {sides}) uint8, got {images.shape} {images.dtype}; "
                "detect resizes images of any size"
            )
        return self._session.run(None, {self._session.get_inputs()[0].name: images})[0]


@checked()
def load_detector(path: str | os.PathLike[str]) -> ExportedDetector:
    """Loads a detector that `export` wrote, to run it with ONNX Runtime.

    Args:
        path: path of an ONNX file.

    Returns:
        An `ExportedDetector`, which `detect`, `predict_dataset` and `predict_files` take in place of a model.

    Raises:
        FileNotFoundError: if there is no such file.
        MissingPackageError: if ONNX Runtime is not installed.
        ValueError: for a file that ONNX Runtime cannot load, or that `export` did not write.
    """
    path = os.fspath(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"load_detector: no such file: {path}")
    content = read_bytes(path, MAX_FILE)
    need_packages("load_detector", "onnx", "onnxruntime")
    return ExportedDetector(path, _session(path, content))


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a file for `load_detector` rather than a model of Keras."""
    return os.fspath(path).lower().endswith(SUFFIX)


def _session(path, content):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the classes of ONNX Runtime's errors have no common base
        fault = one_line(" ".join(str(error).split()), 300)
    raise ValueError(f"load_detector: {path}: ONNX Runtime cannot load this file: {fault}")


def _facts(path, session, metadata):
    inputs, outputs = session.get_inputs(), session.get_outputs()
    shapes = [tuple(tensor.shape) for tensor in (*inputs, *outputs)]
    fits = len(shapes) == 2 and [len(shape) for shape in shapes] == [4, 3] and shapes[1][2] == 6
    whole = fits and all(isinstance(side, int) for side in shapes[0][1:])
    try:
        if not whole or inputs[0].type != "tensor(uint8)":
            raise ValueError("its input or output is another one")
        texts = [metadata[key][:MAX_TEXT] for key in (NUM_CLASSES_KEY, CLASS_NAMES_KEY, VALUE_RANGE_KEY)]
        num_classes, names, value_range = map(json.loads, texts)
        height, width, channels = shapes[0][1:]
        if type(num_classes) is not int or not NUM_CLASSES[0] <= num_classes <= NUM_CLASSES[1]:
            raise ValueError(f"it states {one_line(num_classes)} classes")
        names = None if names is None else check_names(names, num_classes, owner="its metadata")
        pixels = checked_pixels("its metadata", channels, value_range)
    except KeyError as error:
        fault = f"its metadata has no {error}"
    except (TypeError, ValueError, RecursionError) as error:
        fault = one_line(error, 300)
    else:
        return Facts((height, width), channels, pixels.value_range, num_classes, names)
    raise ValueError(f"load_detector: {path}: expected a file that multibox.export wrote: {fault}")
