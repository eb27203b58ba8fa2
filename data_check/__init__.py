"""Checks of a data set before training: annotations, images, boxes, classes and the fit of the anchors."""

from .anchor_fit import Suggestion, suggest_anchors
from .check import check_dataset
from .coverage import Coverage, measure_coverage
from .findings import KINDS, Finding
from .report import CheckReport

__all__ = [
    "KINDS",
    "CheckReport",
    "Coverage",
    "Finding",
    "Suggestion",
    "check_dataset",
    "measure_coverage",
    "suggest_anchors",
]
