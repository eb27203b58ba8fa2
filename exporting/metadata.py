"""What a file says about the detector in it."""

from __future__ import annotations

import hashlib
import json

import keras
import numpy as np

from .. import __version__
from ..anchors import AnchorSpec
from ..eval_utils.exported import CLASS_NAMES_KEY, NUM_CLASSES_KEY, VALUE_RANGE_KEY
from ..layers import DecodeDetections
from ..layers.multibox import multibox_of
from ..models.detector import value_range_of

LICENCE = (
    "Written by multibox, which is under the MIT licence. The weights are under the terms of those who "
    "trained them, and of the weights and data that they began with."
)


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
