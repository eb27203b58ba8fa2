"""Weights: published files, readers of other projects' formats, other classes for a trained model."""

from .loading import LoadReport, load_weights
from .sample_classes import sample_classes

__all__ = ["LoadReport", "load_weights", "sample_classes"]
