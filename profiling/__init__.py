"""What models cost: counted by their structure, and measured on this machine."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .benchmark import Benchmark, BenchmarkRow
    from .stage_times import StageTimes, measure_stages
    from .structure import Complexity, LayerComplexity, StageComplexity, complexity

__all__ = [
    "Benchmark",
    "BenchmarkRow",
    "Complexity",
    "LayerComplexity",
    "StageComplexity",
    "StageTimes",
    "complexity",
    "measure_stages",
]

_MODULES = {
    "benchmark": "Benchmark BenchmarkRow",
    "stage_times": "StageTimes measure_stages",
    "structure": "Complexity LayerComplexity StageComplexity complexity",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
