"""Data: readers, augmentation, ground-truth encoding, batches."""

from .albumentation import Albumentations
from .cache import cache_in_ram
from .coco import coco_categories, load_coco, scan_coco
from .csv_file import load_csv, scan_csv
from .dataset import DetectionDataset, Record
from .encoder import GroundTruthEncoder
from .generator import DataGenerator
from .hdf5 import create_hdf5_dataset, load_hdf5
from .images import ImageError, read_image
from .mixing import MixUp, Mosaic
from .photometric import PhotometricDistortion
from .presets import (
    SampleTransform,
    constant_size_train,
    satellite_train,
    ssd_eval,
    ssd_train,
    ssdlite_train,
    variable_size_train,
)
from .shapes import SHAPE_CLASSES, load_shapes
from .transforms import (
    Expand,
    Flip,
    IoUCrop,
    OneOf,
    Patch,
    RightAngleTurn,
    Scale,
    Translate,
    VerticalFlip,
)
from .view import View
from .voc import VOC_CLASSES, load_voc, scan_voc
from .writers import coco_image_ids, save_coco, save_csv, save_voc
from .yolo import load_yolo, scan_yolo, yolo_classes

__all__ = [
    "SHAPE_CLASSES",
    "VOC_CLASSES",
    "Albumentations",
    "DataGenerator",
    "DetectionDataset",
    "Expand",
    "Flip",
    "GroundTruthEncoder",
    "ImageError",
    "IoUCrop",
    "MixUp",
    "Mosaic",
    "OneOf",
    "Patch",
    "PhotometricDistortion",
    "Record",
    "RightAngleTurn",
    "SampleTransform",
    "Scale",
    "Translate",
    "VerticalFlip",
    "View",
    "cache_in_ram",
    "coco_categories",
    "coco_image_ids",
    "constant_size_train",
    "create_hdf5_dataset",
    "load_coco",
    "load_csv",
    "load_hdf5",
    "load_shapes",
    "load_voc",
    "load_yolo",
    "read_image",
    "satellite_train",
    "save_coco",
    "save_csv",
    "save_voc",
    "scan_coco",
    "scan_csv",
    "scan_voc",
    "scan_yolo",
    "ssd_eval",
    "ssd_train",
    "ssdlite_train",
    "variable_size_train",
    "yolo_classes",
]
