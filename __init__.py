"""multibox: SSD (Single Shot MultiBox Detector) object detection for Keras 3."""

from typing import TYPE_CHECKING

try:
    import keras as _keras  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("tensorflow", "jax", "torch"):
        raise
    raise ModuleNotFoundError(
        f"multibox: the backend of Keras is {error.name}, which is not installed: pip install {error.name}, "
        'or set the environment variable KERAS_BACKEND to a backend you have: "tensorflow", "jax" or "torch"',
        name=error.name,
    ) from None

from . import anchors, class_names, recipes
from .anchors import AnchorSpec
from .class_names import COCO_CLASSES, VOC_CLASSES
from .data_check import check_dataset
from .data_generator import (
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    ImageError,
    Record,
    SampleTransform,
    balanced_class_weights,
    coco_categories,
    constant_size_augmentation,
    convert_dataset,
    create_hdf5_dataset,
    load_coco,
    load_csv,
    load_dataset,
    load_hdf5,
    load_huggingface,
    load_labelme,
    load_open_images,
    load_shapes,
    load_tfrecord,
    load_voc,
    load_yolo,
    read_image,
    repeat_factors,
    resize_only,
    satellite_augmentation,
    save_coco,
    save_csv,
    save_dataset,
    save_labelme,
    save_voc,
    save_yolo,
    ssd_augmentation,
    ssdlite_augmentation,
    variable_size_augmentation,
)
from .data_generator.augmentation.presets import FORMER_NAMES
from .deprecated import renamed_attributes
from .eval_utils import (
    Detections,
    detect,
    evaluate_voc,
    plot_detection_grid,
    plot_detections,
    plot_history,
    plot_precision_recall,
    plot_samples,
    predict_dataset,
    save_evaluation,
    to_pixels,
)
from .losses import SSDFocalLoss, SSDLoss
from .models import (
    SSD7,
    SSD300,
    SSD512,
    SSDLite,
    SSDMobileNet,
    activation_of,
    anchors_of,
    class_names_of,
    class_weights_of,
    num_classes_of,
    pretrained,
    sample_classes,
    to_inference,
)
from .training import loss_of, train
from .weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "COCO_CLASSES",
    "SSD7",
    "SSD300",
    "SSD512",
    "VOC_CLASSES",
    "AnchorSpec",
    "DataGenerator",
    "DetectionDataset",
    "Detections",
    "GroundTruthEncoder",
    "ImageError",
    "Record",
    "SSDFocalLoss",
    "SSDLite",
    "SSDLoss",
    "SSDMobileNet",
    "SampleTransform",
    "activation_of",
    "anchors",
    "anchors_of",
    "balanced_class_weights",
    "check_dataset",
    "class_names",
    "class_names_of",
    "class_weights_of",
    "coco_categories",
    "constant_size_augmentation",
    "convert_dataset",
    "create_hdf5_dataset",
    "detect",
    "evaluate_voc",
    "load_coco",
    "load_csv",
    "load_dataset",
    "load_hdf5",
    "load_huggingface",
    "load_labelme",
    "load_open_images",
    "load_shapes",
    "load_tfrecord",
    "load_voc",
    "load_weights",
    "load_yolo",
    "loss_of",
    "num_classes_of",
    "plot_detection_grid",
    "plot_detections",
    "plot_history",
    "plot_precision_recall",
    "plot_samples",
    "predict_dataset",
    "pretrained",
    "read_image",
    "recipes",
    "repeat_factors",
    "resize_only",
    "sample_classes",
    "satellite_augmentation",
    "save_coco",
    "save_csv",
    "save_dataset",
    "save_evaluation",
    "save_labelme",
    "save_voc",
    "save_yolo",
    "ssd_augmentation",
    "ssdlite_augmentation",
    "to_inference",
    "to_pixels",
    "train",
    "variable_size_augmentation",
]

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__ = renamed_attributes(__name__, {"labels": ("class_names", class_names), **FORMER_NAMES})
