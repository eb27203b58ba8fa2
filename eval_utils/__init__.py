"""Detection in images and data sets, metrics and plots."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .detection_files.files import load_detections, save_detections
    from .detections import Detection, Detections
    from .detectors import to_pixels
    from .exported import ExportedDetector, load_detector
    from .history_plot import plot_history
    from .metrics.bootstrap import confidence_intervals
    from .metrics.coco import COCOResult, evaluate_coco
    from .metrics.comparison import compare
    from .metrics.confusion import ConfusionMatrix, confusion_matrix, plot_confusion_matrix
    from .metrics.errors import ErrorTypes, error_types
    from .metrics.evaluation_files import save_evaluation
    from .metrics.plots import plot_precision_recall, plot_scores
    from .metrics.voc import VOCResult, evaluate_voc
    from .plots import plot_detection_grid, plot_detections, plot_samples
    from .prediction import detect, predict_dataset
    from .prediction_files import save_predictions
    from .streaming import predict_files

__all__ = [
    "COCOResult",
    "ConfusionMatrix",
    "Detection",
    "Detections",
    "ErrorTypes",
    "ExportedDetector",
    "VOCResult",
    "compare",
    "confidence_intervals",
    "confusion_matrix",
    "detect",
    "error_types",
    "evaluate_coco",
    "evaluate_voc",
    "load_detections",
    "load_detector",
    "plot_confusion_matrix",
    "plot_detection_grid",
    "plot_detections",
    "plot_history",
    "plot_precision_recall",
    "plot_samples",
    "plot_scores",
    "predict_dataset",
    "predict_files",
    "save_detections",
    "save_evaluation",
    "save_predictions",
    "to_pixels",
]

_MODULES = {
    "detection_files.files": "load_detections save_detections",
    "detections": "Detection Detections",
    "history_plot": "plot_history",
    "metrics.confusion": "ConfusionMatrix confusion_matrix plot_confusion_matrix",
    "metrics.errors": "ErrorTypes error_types",
    "metrics.bootstrap": "confidence_intervals",
    "metrics.comparison": "compare",
    "metrics.coco": "COCOResult evaluate_coco",
    "metrics.evaluation_files": "save_evaluation",
    "metrics.plots": "plot_precision_recall plot_scores",
    "plots": "plot_detection_grid plot_detections plot_samples",
    "detectors": "to_pixels",
    "exported": "ExportedDetector load_detector",
    "prediction": "detect predict_dataset",
    "prediction_files": "save_predictions",
    "streaming": "predict_files",
    "metrics.voc": "VOCResult evaluate_voc",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
