"""What a file says about the detector in it."""

from __future__ import annotations

import hashlib
from typing import Any

import keras
import numpy as np

from .. import __version__
from ..anchors import AnchorSpec
from ..eval_utils.exported import CLASS_NAMES_KEY, NUM_CLASSES_KEY, VALUE_RANGE_KEY
from ..eval_utils.runtimes.program import as_texts
from ..layers import DecodeDetections
from ..layers.multibox import multibox_of
from ..models.detector import value_range_of

LICENCE = (
    "Written by multibox, which is under the MIT licence. The weights are under the terms of those who "
    "trained them, and of the weights and data that they began with."
)


def about(detector: keras.Model) -> dict[str, Any]:
    """What the file says about a detector, {key: what JSON can hold}."""
    multibox = multibox_of(detector)
    (decoding,) = (layer for layer in detector.layers if isinstance(layer, DecodeDetections))
    return {
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
        "anchors_sha256": anchors_digest(multibox.anchors),
        "multibox_version": __version__,
        "licence": LICENCE,
    }


def metadata_of(detector: keras.Model) -> dict[str, str]:
    """Likewise as texts."""
    return as_texts(about(detector))


def anchors_digest(anchors: AnchorSpec) -> str:
    """SHA-256 of the anchors cx, cy, w, h and the variances, as little-endian float32."""
    numbers = [*np.ravel(anchors.cxcywh), *anchors.variances]
    return hashlib.sha256(np.asarray(numbers, "<f4").tobytes()).hexdigest()
