"""A page that shows what a detector can do and why it fails."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .page import save_report

__all__ = ["save_report"]

_MODULES = {"page": "save_report"}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
