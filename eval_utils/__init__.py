"""Detection in images and data sets, metrics and plots."""

from .detections import Detection, Detections
from .evaluation_files import save_evaluation
from .plots import plot_detection_grid, plot_detections, plot_history, plot_precision_recall, plot_samples
from .prediction import detect, predict_dataset, to_pixels
from .voc import VOCResult, evaluate_voc

__all__ = [
    "Detection",
    "Detections",
    "VOCResult",
    "detect",
    "evaluate_voc",
    "plot_detection_grid",
    "plot_detections",
    "plot_history",
    "plot_precision_recall",
    "plot_samples",
    "predict_dataset",
    "save_evaluation",
    "to_pixels",
]
