"""multibox: SSD (Single Shot MultiBox Detector) object detection for Keras 3."""

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

from . import anchors
from . import class_names as labels
from .anchors import AnchorSpec
from .data_check import check_dataset
from .data_generator import (
    VOC_CLASSES,
    DataGenerator,
    DetectionDataset,
    GroundTruthEncoder,
    coco_categories,
    constant_size_train,
    create_hdf5_dataset,
    load_coco,
    load_csv,
    load_hdf5,
    load_shapes,
    load_voc,
    load_yolo,
    read_image,
    satellite_train,
    save_coco,
    save_csv,
    save_voc,
    ssd_eval,
    ssd_train,
    ssdlite_train,
    variable_size_train,
)
from .eval_utils import (
    evaluate_voc,
    plot_detection_grid,
    plot_detections,
    plot_history,
    plot_precision_recall,
    plot_samples,
    predict_dataset,
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
    sample_classes,
    to_inference,
)
from .training import loss_of, train
from .weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "SSD7",
    "SSD300",
    "SSD512",
    "VOC_CLASSES",
    "AnchorSpec",
    "DataGenerator",
    "DetectionDataset",
    "GroundTruthEncoder",
    "SSDFocalLoss",
    "SSDLite",
    "SSDLoss",
    "SSDMobileNet",
    "activation_of",
    "anchors",
    "anchors_of",
    "check_dataset",
    "coco_categories",
    "constant_size_train",
    "create_hdf5_dataset",
    "evaluate_voc",
    "labels",
    "load_coco",
    "load_csv",
    "load_hdf5",
    "load_shapes",
    "load_voc",
    "load_weights",
    "load_yolo",
    "loss_of",
    "plot_detection_grid",
    "plot_detections",
    "plot_history",
    "plot_precision_recall",
    "plot_samples",
    "predict_dataset",
    "read_image",
    "sample_classes",
    "satellite_train",
    "save_coco",
    "save_csv",
    "save_voc",
    "ssd_eval",
    "ssd_train",
    "ssdlite_train",
    "to_inference",
    "to_pixels",
    "train",
    "variable_size_train",
]
