"""Keras layers of the detector. All are serializable and work on every backend."""

from .anchor_boxes import AnchorBoxes
from .batch_normalization import BatchNormalization
from .decode_detections import DecodeDetections
from .image_normalization import ImageNormalization
from .l2_normalization import L2Normalization
from .multibox import MultiBox

__all__ = [
    "AnchorBoxes",
    "BatchNormalization",
    "DecodeDetections",
    "ImageNormalization",
    "L2Normalization",
    "MultiBox",
]
