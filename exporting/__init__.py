"""Detectors for other runtimes: a model becomes a file that runs without Keras."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .comparison import ExportCheck, check_export
    from .writing import export

__all__ = ["ExportCheck", "check_export", "export"]

_MODULES = {"comparison": "ExportCheck check_export", "writing": "export"}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
