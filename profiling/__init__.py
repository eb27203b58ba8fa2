"""What models cost: counted by their structure, and measured on this machine."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .structure import Complexity, LayerComplexity, StageComplexity, complexity

__all__ = ["Complexity", "LayerComplexity", "StageComplexity", "complexity"]

_MODULES = {"structure": "Complexity LayerComplexity StageComplexity complexity"}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
