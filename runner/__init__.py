"""A training run from a description: data in, a folder with models, pictures and figures out."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .config import RunConfig, read_config
    from .start import start_run
    from .summary import save_summary

__all__ = ["RunConfig", "read_config", "save_summary", "start_run"]

_MODULES = {
    "config": "RunConfig read_config",
    "start": "start_run",
    "summary": "save_summary",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
