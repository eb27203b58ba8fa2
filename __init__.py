"""multibox: SSD (Single Shot MultiBox Detector) object detection for Keras 3.

Names are imported at their first use: `multibox.load_dataset` takes no Keras, `multibox.train` does.
"""

from typing import TYPE_CHECKING

from . import deprecated
from .import_hooks import register
from .lazy import lazy_names

if TYPE_CHECKING:  # what type checkers and editors see; _MODULES is the same for Python
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
        load_shards,
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
        save_shards,
        save_voc,
        save_yolo,
        ssd_augmentation,
        ssdlite_augmentation,
        variable_size_augmentation,
    )
    from .eval_utils import (
        Detections,
        compare,
        confidence_intervals,
        confusion_matrix,
        detect,
        error_types,
        evaluate_coco,
        evaluate_voc,
        load_detections,
        load_detector,
        plot_confusion_matrix,
        plot_detection_grid,
        plot_detections,
        plot_history,
        plot_precision_recall,
        plot_samples,
        plot_scores,
        predict_dataset,
        predict_files,
        save_detections,
        save_evaluation,
        save_predictions,
        to_pixels,
    )
    from .exporting import check_export, export
    from .losses import SSDFocalLoss, SSDLoss
    from .models import (
        DSSD321,
        SSD,
        SSD7,
        SSD300,
        SSD321,
        SSD512,
        SSD513,
        SSDLite,
        SSDMobileNet,
        activation_of,
        anchors_of,
        cast_model,
        class_names_of,
        class_weights_of,
        fastest_precision,
        fold_batch_norm,
        num_classes_of,
        pretrained,
        sample_classes,
        to_inference,
    )
    from .profiling import complexity, measure_stages
    from .report import save_report
    from .runner import RunConfig, read_config, save_summary, start_run
    from .training import MeanAveragePrecision, loss_of, train
    from .weights import load_weights, read_weights

__version__ = "0.1.0"

__all__ = [
    "COCO_CLASSES",
    "DSSD321",
    "SSD",
    "SSD7",
    "SSD300",
    "SSD321",
    "SSD512",
    "SSD513",
    "VOC_CLASSES",
    "AnchorSpec",
    "DataGenerator",
    "DetectionDataset",
    "Detections",
    "GroundTruthEncoder",
    "ImageError",
    "MeanAveragePrecision",
    "Record",
    "RunConfig",
    "SSDFocalLoss",
    "SSDLite",
    "SSDLoss",
    "SSDMobileNet",
    "SampleTransform",
    "activation_of",
    "anchors",
    "anchors_of",
    "balanced_class_weights",
    "cast_model",
    "check_dataset",
    "check_export",
    "class_names",
    "class_names_of",
    "class_weights_of",
    "coco_categories",
    "compare",
    "complexity",
    "confidence_intervals",
    "confusion_matrix",
    "constant_size_augmentation",
    "convert_dataset",
    "create_hdf5_dataset",
    "detect",
    "error_types",
    "evaluate_coco",
    "evaluate_voc",
    "export",
    "fastest_precision",
    "fold_batch_norm",
    "load_coco",
    "load_csv",
    "load_dataset",
    "load_detections",
    "load_detector",
    "load_hdf5",
    "load_huggingface",
    "load_labelme",
    "load_open_images",
    "load_shapes",
    "load_shards",
    "load_tfrecord",
    "load_voc",
    "load_weights",
    "load_yolo",
    "loss_of",
    "measure_stages",
    "num_classes_of",
    "plot_confusion_matrix",
    "plot_detection_grid",
    "plot_detections",
    "plot_history",
    "plot_precision_recall",
    "plot_samples",
    "plot_scores",
    "predict_dataset",
    "predict_files",
    "pretrained",
    "read_config",
    "read_image",
    "read_weights",
    "recipes",
    "repeat_factors",
    "resize_only",
    "sample_classes",
    "satellite_augmentation",
    "save_coco",
    "save_csv",
    "save_dataset",
    "save_detections",
    "save_evaluation",
    "save_labelme",
    "save_predictions",
    "save_report",
    "save_shards",
    "save_summary",
    "save_voc",
    "save_yolo",
    "ssd_augmentation",
    "ssdlite_augmentation",
    "start_run",
    "to_inference",
    "to_pixels",
    "train",
    "variable_size_augmentation",
]

# {module: its public names}, for Python what the imports above are for type checkers
_MODULES = {
    "anchors": "AnchorSpec",
    "class_names": "COCO_CLASSES VOC_CLASSES",
    "data_check": "check_dataset",
    "data_generator": """
        DataGenerator DetectionDataset GroundTruthEncoder ImageError Record SampleTransform
        balanced_class_weights coco_categories constant_size_augmentation convert_dataset
        create_hdf5_dataset load_coco load_csv load_dataset load_hdf5 load_huggingface load_labelme
        load_open_images load_shapes load_shards load_tfrecord load_voc load_yolo read_image
        repeat_factors resize_only satellite_augmentation save_coco save_csv save_dataset
        save_labelme save_shards save_voc save_yolo ssd_augmentation ssdlite_augmentation
        variable_size_augmentation
    """,
    "eval_utils": """
        Detections compare confidence_intervals confusion_matrix detect error_types evaluate_coco
        evaluate_voc load_detections plot_confusion_matrix plot_detection_grid plot_detections
        plot_history plot_precision_recall plot_samples plot_scores predict_dataset predict_files
        save_detections save_evaluation load_detector save_predictions to_pixels
    """,
    "exporting": "check_export export",
    "losses": "SSDFocalLoss SSDLoss",
    "models": """
        DSSD321 SSD SSD7 SSD300 SSD321 SSD512 SSD513 SSDLite SSDMobileNet activation_of anchors_of
        cast_model class_names_of class_weights_of fastest_precision fold_batch_norm
        num_classes_of pretrained sample_classes to_inference
    """,
    "profiling": "complexity measure_stages",
    "report": "save_report",
    "runner": "RunConfig read_config save_summary start_run",
    "training": "MeanAveragePrecision loss_of train",
    "weights": "load_weights read_weights",
}

if not TYPE_CHECKING:  # a type checker would take any name for one of these
    __getattr__, __dir__ = lazy_names(
        __name__,
        _MODULES,
        submodules=(
            *("activations", "arguments", "boxes", "files", "layers", "matching", "messages", "networks"),
            "recipes",
        ),
        former={"labels": "class_names", **deprecated.AUGMENTATIONS},
    )

# A saved model loads after `import multibox` alone, without `custom_objects`.
register(__name__, ("layers", "losses", "variable_rates"))
