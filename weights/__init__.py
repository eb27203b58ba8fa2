"""Weights: published files and readers of other projects' formats."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .loading import LoadReport, load_weights
    from .reading import read_weights

__all__ = ["LoadReport", "load_weights", "read_weights"]

_MODULES = {
    "loading": "LoadReport load_weights",
    "reading": "read_weights",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
