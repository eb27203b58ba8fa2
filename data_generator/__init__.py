"""Data: readers, augmentation, ground-truth encoding, batches."""

from .dataset import DetectionDataset, Record
from .encoder import GroundTruthEncoder
from .generator import DataGenerator
from .images import ImageError, read_image
from .photometric import PhotometricDistortion
from .presets import SampleTransform, ssd_eval, ssd_train, ssdlite_train
from .shapes import SHAPE_CLASSES, load_shapes
from .transforms import Expand, Flip, IoUCrop
from .view import View
from .voc import VOC_CLASSES, load_voc

__all__ = [
    "SHAPE_CLASSES",
    "VOC_CLASSES",
    "DataGenerator",
    "DetectionDataset",
    "Expand",
    "Flip",
    "GroundTruthEncoder",
    "ImageError",
    "IoUCrop",
    "PhotometricDistortion",
    "Record",
    "SampleTransform",
    "View",
    "load_shapes",
    "load_voc",
    "read_image",
    "ssd_eval",
    "ssd_train",
    "ssdlite_train",
]
