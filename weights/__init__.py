"""Weights: published files and readers of other projects' formats."""

from .loading import LoadReport, load_weights

__all__ = ["LoadReport", "load_weights"]
