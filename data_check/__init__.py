"""Checks of a data set before training: annotations, images, boxes, classes and the fit of the anchors."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
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

_MODULES = {
    "anchor_fit": "Suggestion suggest_anchors",
    "check": "check_dataset",
    "coverage": "Coverage measure_coverage",
    "findings": "KINDS Finding",
    "report": "CheckReport",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
