"""`ExportedDetector`: what `export` wrote, run by its own runtime. It needs no backend of Keras."""

from __future__ import annotations

import json
import os
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..arguments import checked
from ..class_names import check_names
from ..data_generator.pixels import ValueRange, checked_pixels
from ..limits import NUM_CLASSES
from ..messages import one_line
from .packages import need_packages
from .runtimes.program import Program

# What an exported file says about its detector, besides the shapes of its input and output.
NUM_CLASSES_KEY, CLASS_NAMES_KEY, VALUE_RANGE_KEY = "num_classes", "class_names", "value_range"
MAX_TEXT = 1 << 20  # characters of a value in the metadata


class Runtime(NamedTuple):
    """What runs one kind of file.

    Attributes:
        module: name of its module in the folder runtimes.
        extra: the extra of this package that installs it.
        package: name of its package.
    """

    module: str
    extra: str
    package: str


# {ending of the path: runtime}
RUNTIMES = {
    ".onnx": Runtime("onnx_runtime", "onnx", "onnxruntime"),
    ".xml": Runtime("openvino_runtime", "openvino", "openvino"),
    ".tflite": Runtime("litert_runtime", "litert", "ai_edge_litert"),
}
# {a file in a folder: what runs the folder}
FOLDERS = {
    "saved_model.pb": Runtime("tensorflow_runtime", "tensorflow", "tensorflow"),
}


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
    """A detector that `export` wrote. `load_detector` makes it.

    `detect`, `predict_dataset` and `predict_files` take it in place of a model. It runs on the CPU.

    Attributes:
        path: path of the file or folder.
        facts: what the file says about its detector.
        metadata: {key: text} of the file: class names, thresholds, the version of multibox that wrote it, ...
    """

    def __init__(self, path: str, program: Program):
        self.path = path
        self.metadata = program.metadata
        self._run = program.run
        self.facts = _facts(program)

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
        return self._run(images)


@checked()
def load_detector(path: str | os.PathLike[str]) -> ExportedDetector:
    """Loads a detector that `export` wrote, to run it with the runtime that it was written for.

    Args:
        path: path of an ONNX file (`.onnx`), an OpenVINO file (`.xml`) with its `.bin` file beside it, a
            LiteRT file (`.tflite`) or the folder of a SavedModel. A SavedModel is a program: load only those
            that you trust.

    Returns:
        An `ExportedDetector`, which `detect`, `predict_dataset` and `predict_files` take in place of a model.

    Raises:
        FileNotFoundError: if there is no such file.
        MissingPackageError: if the runtime is not installed.
        ValueError: for a file that the runtime cannot load, or that `export` did not write.
    """
    path = os.fspath(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"load_detector: no such file: {path}")
    runtime = _runtime_of(path)
    if runtime is None:
        raise ValueError(
            f"load_detector: {path}: expected a file that ends with {' or '.join(RUNTIMES)}, or the folder "
            "of a SavedModel"
        )
    need_packages("load_detector", runtime.extra, runtime.package)
    module = import_module(f".runtimes.{runtime.module}", __package__)
    try:
        return ExportedDetector(path, module.open_file(path))
    except KeyError as error:
        fault = f"its metadata has no {error}"
    except (TypeError, ValueError, RecursionError) as error:
        fault = one_line(error, 400)
    raise ValueError(f"load_detector: {path}: expected a detector that multibox.export wrote: {fault}")


def is_exported(path: str | os.PathLike[str]) -> bool:
    """Whether a path names something for `load_detector` rather than a model of Keras."""
    return _runtime_of(path) is not None


def _runtime_of(path):
    found = (runtime for name, runtime in FOLDERS.items() if (Path(path) / name).is_file())
    return RUNTIMES.get(Path(path).suffix.lower()) or next(found, None)


def _facts(program):
    texts = [program.metadata[key][:MAX_TEXT] for key in (NUM_CLASSES_KEY, CLASS_NAMES_KEY, VALUE_RANGE_KEY)]
    num_classes, names, value_range = map(json.loads, texts)
    height, width, channels = program.image_shape
    if type(num_classes) is not int or not NUM_CLASSES[0] <= num_classes <= NUM_CLASSES[1]:
        raise ValueError(f"it states {one_line(num_classes)} classes")
    names = None if names is None else check_names(names, num_classes, owner="its metadata")
    pixels = checked_pixels("its metadata", channels, value_range)
    return Facts((height, width), channels, pixels.value_range, num_classes, names)
