"""Training: the loop, and what lets a run go on after an interruption."""

from .loop import loss_of, train
from .mean_average_precision import MeanAveragePrecision

__all__ = ["MeanAveragePrecision", "loss_of", "train"]
