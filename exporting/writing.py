"""`export`: writes a detector for a runtime other than Keras."""

from __future__ import annotations

import os
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import keras
import numpy as np

from ..arguments import checked
from ..data_generator import DetectionDataset, resize_only
from ..eval_utils.packages import need_packages
from ..files import check_absent
from ..layers.multibox import multibox_of
from ..models.detector import as_detector, channels_of, model_of, value_range_of
from ..models.precision import cast_model
from .checking import DisagreementError
from .formats import FORMATS, format_of
from .job import Job

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models.detector import Decoding

MAX_CALIBRATION = 200  # pictures; more do not change the ranges of the numbers


@checked()
def export(
    model: keras.Model | str | os.PathLike[str],
    path: str | os.PathLike[str],
    format: Literal["onnx", "openvino", "savedmodel", "litert", "web"] | None = None,
    *,
    precision: Literal["float32", "bfloat16", "float16", "dynamic", "int8"] | None = None,
    calibration: DetectionDataset | None = None,
    overwrite: bool = False,
    **decoding: Unpack[Decoding],
) -> Path:
    """Writes a detector to a file for another runtime, with everything from the pixels to the boxes inside.

    * "onnx": a file for ONNX Runtime. Its input "image" is (batch, height, width, channels) uint8, RGB
      first, for any batch. Its output "detections" is (batch, max_detections, 6) float32, rows
      [class_id, score, xmin, ymin, xmax, ymax] by descending score. Class ids are from 1, coordinates are
      relative (0..1, not clipped), and zero rows pad the result. The file has standard operators of
      version 17 and float32 numbers.
    * "openvino": an `.xml` file and a `.bin` file beside it for OpenVINO, with the same input and output.
      With the precision "float32" all of it computes in float32, on every processor. With "bfloat16" the
      network computes in bfloat16 if the processor can, otherwise in float32.

    * "savedmodel": a folder for TensorFlow and TensorFlow Serving. Its signatures are "serving_default"
      (likewise from uint8 pixels), "float" (pixels from 0 to 255 as float32) and, for 1 or 3 channels,
      "encoded": from the contents of JPEG and PNG files, which are turned upright by their EXIF orientation
      and resized. It also returns their sizes (batch, 2), height and width in pixels.
    * "litert": a `.tflite` file for LiteRT, formerly TensorFlow Lite, and beside it detect.py, which runs it
      with NumPy and OpenCV. The network goes from one image (1, height, width, channels) uint8 to "offsets"
      (1, num_anchors, 4) and "logits" (1, num_anchors, 1 + num_classes); detect.py makes detections of them.
      The precisions are "float32"; "float16" and "dynamic", whose weights have 16 or 8 bits; and "int8",
      which computes in 8 bits.
    * "web": a folder for any web server, with the ONNX file, ONNX Runtime for browsers (33 MB, downloaded
      once) and a page that finds objects in pictures and in those of a camera. It asks no other host.

    The weights in the file are those of the model. A model that computes in another type than float32, such
    as with the policy "mixed_bfloat16", is written, and compared, as a float32 copy with the same weights.

    Each file says what it is: class names, image size, thresholds, a digest of the anchors, ... as texts,
    lists and numbers as JSON. The runtime runs it beside Keras before it gets its name. It is deleted if they
    disagree.

    Args:
        model: a model of this package, for training or for inference, also nested in a model that adds
            nothing to it, or the path of a saved one (`.keras`).
        path: path of the file or folder.
        format: name of the format; None: as the ending of the path tells.
        precision: what the file computes in; None: float32.
        calibration: pictures that show which numbers occur in the network, for the precision "int8". Not
            those that the result is judged by. At most 200 of them are used.
        overwrite: whether what is there may be replaced.
        **decoding: options of `to_inference`. A model for inference keeps its own if none is given.

    Returns:
        The path of the file or folder.

    Raises:
        DownloadError: if ONNX Runtime for browsers is not available; says where to put it by hand.
        FileExistsError: if there is a file and `overwrite` is False; and for a folder with anything else than
            what "web" writes, which is never replaced by it.
        MissingPackageError: if a package that writes or checks the format is not installed. TensorFlow writes
            "savedmodel" and "litert". Where Keras runs on another backend, a second process does that.
        OSError: if the file cannot be written; names it.
        RuntimeError: if the runtime and Keras disagree, with the difference. Nothing is written then.
        ValueError: for another ending of the path, a precision that the format does not have, a model that is
            not of this package, one nested in a model that adds something to it, or one with layers or
            settings that cannot be exported; names the layer.
    """
    path = Path(path)
    format = format_of(path) if format is None else format
    precision = _checked_precision(format, precision, calibration)
    if not overwrite:
        check_absent([path])
    about = FORMATS[format]
    need_packages("export", about.extra, *about.packages)
    detector = _in_float32(as_detector(model_of(model, "export"), **decoding))
    images = None if calibration is None else partial(_calibration_images, detector, calibration)
    _write(format, Job(detector, path, overwrite, precision, images))
    return path


def _write(format, job):
    about = FORMATS[format]
    writer = import_module(f".{about.module}", __package__)
    try:
        writer.write(job)
    except DisagreementError as error:
        raise DisagreementError(f"export: {job.path} is not written: in {about.runtime}, {error}") from None


def _in_float32(detector):
    """The detector, or a copy of it if some layer computes in another type."""
    computing = (layer for layer in detector.layers if not isinstance(layer, keras.layers.InputLayer))
    is_float32 = all(layer.compute_dtype == "float32" for layer in computing)
    return detector if is_float32 else cast_model(detector, "float32")


def _checked_precision(format, precision, calibration):
    known = FORMATS[format].precisions
    precision = known[0] if precision is None else precision
    if precision not in known:
        raise ValueError(f"export: precision must be {' or '.join(known)} for {format}, got {precision!r}")
    if (precision == "int8") != (calibration is not None):
        raise ValueError(
            "export: the precision int8 and calibration, a data set with pictures like those that the model "
            f"will see, belong together; got precision={precision!r}, calibration={calibration!r}"
        )
    return precision


def _calibration_images(detector, dataset):
    """Images (height, width, channels) uint8 as the detector takes them, spread over a data set."""
    dataset = dataset.with_pixels(channels=channels_of(detector), value_range=value_range_of(detector))
    transform = resize_only(multibox_of(detector).anchors.image_size)
    for index in np.linspace(0, len(dataset) - 1, min(len(dataset), MAX_CALIBRATION)).astype(int):
        yield transform(dataset[int(index)], np.random.default_rng(0))[0]
