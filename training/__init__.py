"""Training: the loop, and what lets a run go on after an interruption."""

from .compiling import loss_of
from .loop import train
from .mean_average_precision import MeanAveragePrecision

__all__ = ["MeanAveragePrecision", "loss_of", "train"]
