"""Data: readers, augmentation, ground-truth encoding, batches."""

from typing import TYPE_CHECKING

from ..deprecated import AUGMENTATIONS
from ..lazy import lazy_names

if TYPE_CHECKING:
    from ..class_names import VOC_CLASSES
    from .augmentation.albumentations import Albumentations
    from .augmentation.geometry import (
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
    from .augmentation.mixing import MixUp, Mosaic
    from .augmentation.photometric import PhotometricDistortion
    from .augmentation.presets import (
        constant_size_augmentation,
        resize_only,
        satellite_augmentation,
        ssd_augmentation,
        ssdlite_augmentation,
        variable_size_augmentation,
    )
    from .augmentation.sample import SampleTransform
    from .augmentation.stages import Stages
    from .augmentation.view import View
    from .batches.cache import cache_in_ram
    from .batches.generator import DataGenerator
    from .class_balance import balanced_class_weights, repeat_factors
    from .dataset import DetectionDataset
    from .encoder import GroundTruthEncoder
    from .formats.coco import coco_categories, load_coco, scan_coco
    from .formats.coco_writer import coco_image_ids, save_coco
    from .formats.csv_file import load_csv, save_csv, scan_csv
    from .formats.hdf5 import load_hdf5
    from .formats.hdf5_writer import create_hdf5_dataset
    from .formats.huggingface import load_huggingface
    from .formats.labelme import load_labelme, scan_labelme
    from .formats.labelme_writer import save_labelme
    from .formats.layouts import load_dataset
    from .formats.open_images import load_open_images, scan_open_images
    from .formats.saving import convert_dataset, save_dataset
    from .formats.shard_writer import save_shards
    from .formats.shards import load_shards
    from .formats.tfrecord import load_tfrecord, scan_tfrecord
    from .formats.voc import load_voc, scan_voc
    from .formats.voc_writer import save_voc
    from .formats.yolo import load_yolo, scan_yolo, yolo_classes, yolo_splits
    from .formats.yolo_writer import save_yolo
    from .images import ImageError, read_image
    from .record import Record
    from .shapes import SHAPE_CLASSES, load_shapes

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
    "Stages",
    "Translate",
    "VerticalFlip",
    "View",
    "balanced_class_weights",
    "cache_in_ram",
    "coco_categories",
    "coco_image_ids",
    "constant_size_augmentation",
    "convert_dataset",
    "create_hdf5_dataset",
    "load_coco",
    "load_csv",
    "load_dataset",
    "load_hdf5",
    "load_huggingface",
    "load_labelme",
    "load_open_images",
    "load_shapes",
    "load_shards",
    "load_tfrecord",
    "load_voc",
    "load_yolo",
    "read_image",
    "repeat_factors",
    "resize_only",
    "satellite_augmentation",
    "save_coco",
    "save_csv",
    "save_dataset",
    "save_labelme",
    "save_shards",
    "save_voc",
    "save_yolo",
    "scan_coco",
    "scan_csv",
    "scan_labelme",
    "scan_open_images",
    "scan_tfrecord",
    "scan_voc",
    "scan_yolo",
    "ssd_augmentation",
    "ssdlite_augmentation",
    "variable_size_augmentation",
    "yolo_classes",
    "yolo_splits",
]

_MODULES = {
    ".class_names": "VOC_CLASSES",
    "augmentation.albumentations": "Albumentations",
    "augmentation.geometry": "Expand Flip IoUCrop OneOf Patch RightAngleTurn Scale Translate VerticalFlip",
    "augmentation.mixing": "MixUp Mosaic",
    "augmentation.photometric": "PhotometricDistortion",
    "augmentation.presets": """
        constant_size_augmentation resize_only satellite_augmentation ssd_augmentation
        ssdlite_augmentation variable_size_augmentation
    """,
    "augmentation.sample": "SampleTransform",
    "augmentation.stages": "Stages",
    "augmentation.view": "View",
    "batches.cache": "cache_in_ram",
    "batches.generator": "DataGenerator",
    "class_balance": "balanced_class_weights repeat_factors",
    "dataset": "DetectionDataset",
    "record": "Record",
    "encoder": "GroundTruthEncoder",
    "formats.coco": "coco_categories load_coco scan_coco",
    "formats.coco_writer": "coco_image_ids save_coco",
    "formats.csv_file": "load_csv save_csv scan_csv",
    "formats.hdf5": "load_hdf5",
    "formats.hdf5_writer": "create_hdf5_dataset",
    "formats.huggingface": "load_huggingface",
    "formats.labelme": "load_labelme scan_labelme",
    "formats.labelme_writer": "save_labelme",
    "formats.layouts": "load_dataset",
    "formats.open_images": "load_open_images scan_open_images",
    "formats.saving": "convert_dataset save_dataset",
    "formats.shard_writer": "save_shards",
    "formats.shards": "load_shards",
    "formats.tfrecord": "load_tfrecord scan_tfrecord",
    "formats.voc": "load_voc scan_voc",
    "formats.voc_writer": "save_voc",
    "formats.yolo": "load_yolo scan_yolo yolo_classes yolo_splits",
    "formats.yolo_writer": "save_yolo",
    "images": "ImageError read_image",
    "shapes": "SHAPE_CLASSES load_shapes",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES, former=AUGMENTATIONS)
