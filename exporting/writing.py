"""`export`: writes a detector to a file that runs without Keras."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import keras
import numpy as np

from .. import __version__
from ..anchors import AnchorSpec
from ..arguments import checked
from ..eval_utils.exported import CLASS_NAMES_KEY, NUM_CLASSES_KEY, SUFFIX, VALUE_RANGE_KEY
from ..eval_utils.packages import need_packages
from ..files import atomic, check_absent
from ..layers import DecodeDetections
from ..layers.multibox import multibox_of
from ..models.detector import is_detector, model_of, to_inference, value_range_of

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..models.detector import Decoding

LICENCE = (
    "Written by multibox, which is under the MIT licence. The weights are under the terms of those who "
    "trained them, and of the weights and data that they began with."
)


@checked()
def export(
    model: keras.Model | str | os.PathLike[str],
    path: str | os.PathLike[str],
    format: Literal["onnx"] | None = None,
    *,
    overwrite: bool = False,
    **decoding: Unpack[Decoding],
) -> Path:
    """Writes a detector to an ONNX file, with everything from the pixels to the boxes inside.

    The file's input "image" is (batch, height, width, channels) uint8, RGB first, for any batch. Its output
    "detections" is (batch, max_detections, 6) float32, rows [class_id, score, xmin, ymin, xmax, ymax] by
    descending score. Class ids are from 1, coordinates are relative (0..1, not clipped), and zero rows pad
    the result. The file has standard operators of version 17 and float32 numbers. Its metadata are texts:
    class names, image size, thresholds, a digest of the anchors, ... lists and numbers as JSON.

    ONNX Runtime runs the file beside Keras on noise before it gets its name. It is deleted if they disagree.

    Args:
        model: a model of this package, for training or for inference, or the path of a saved one (`.keras`).
        path: path of the file.
        format: "onnx"; None: as the ending of the path tells.
        overwrite: whether a file that is there may be replaced.
        **decoding: options of `to_inference`. A model for inference keeps its own if none is given.

    Returns:
        The path of the file.

    Raises:
        FileExistsError: if there is a file and `overwrite` is False.
        MissingPackageError: if onnx or onnxruntime are not installed.
        OSError: if the file cannot be written; names it.
        RuntimeError: if ONNX Runtime and Keras disagree, with the difference. Nothing is written then.
        ValueError: for another ending of the path, a model that is not of this package, or one with layers or
            settings that cannot be exported; names the layer.
    """
    path = Path(path)
    if format is None and path.suffix.lower() != SUFFIX:
        raise ValueError(f"export: path must end with {SUFFIX}, unless format is given; got {path}")
    if not overwrite:
        check_absent([path])
    need_packages("export", "onnx", "onnx", "onnxruntime")
    model = model_of(model, "export")
    multibox_of(model)  # refuses models of other packages
    detector = model if is_detector(model) and not decoding else to_inference(model, **decoding)
    _write(detector, path, overwrite)
    return path


def _write(detector, path, overwrite):
    from .checking import DisagreementError, check_file
    from .network import onnx_model

    content = onnx_model(detector, __version__, metadata_of(detector))
    inner = onnx_model(detector, __version__, {}, inner=True)
    with atomic(path, overwrite) as partial:
        partial.write_bytes(content.SerializeToString())
        try:
            check_file(partial, detector, inner)
        except DisagreementError as error:
            raise DisagreementError(f"export: {path} is not written: in ONNX Runtime, {error}") from None


def metadata_of(detector: keras.Model) -> dict[str, str]:
    """What the file says about a detector, {key: text}."""
    multibox = multibox_of(detector)
    (decoding,) = (layer for layer in detector.layers if isinstance(layer, DecodeDetections))
    values = {
        NUM_CLASSES_KEY: multibox.num_classes,
        CLASS_NAMES_KEY: multibox.class_names,
        VALUE_RANGE_KEY: value_range_of(detector),
        "image_size": multibox.anchors.image_size,
        "activation": multibox.activation,
        "confidence_threshold": decoding.confidence_threshold,
        "iou_threshold": decoding.iou_threshold,
        "max_detections": decoding.max_detections,
        "max_candidates": decoding.max_candidates,
        "class_agnostic": decoding.class_agnostic,
    }
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    digest = anchors_digest(multibox.anchors)
    return {**texts, "anchors_sha256": digest, "multibox_version": __version__, "licence": LICENCE}


def anchors_digest(anchors: AnchorSpec) -> str:
    """SHA-256 of the anchors cx, cy, w, h and the variances, as little-endian float32."""
    numbers = [*np.ravel(anchors.cxcywh), *anchors.variances]
    return hashlib.sha256(np.asarray(numbers, "<f4").tobytes()).hexdigest()
