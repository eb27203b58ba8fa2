"""Detectors for other runtimes: a model becomes a file that runs without Keras."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .writing import export

__all__ = ["export"]

_MODULES = {"writing": "export"}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
