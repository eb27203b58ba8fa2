"""The report of a run: its model on its validation images, its curves and its settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from ..data_generator import DetectionDataset
from ..files import read_text
from .config import read_config
from .data import find_data
from .folder import BEST, CONFIG, HISTORY, VERSIONS

_MAX_VERSIONS = 1 << 20  # bytes


def is_run(path: Path) -> bool:
    """Whether a path is the folder of a run."""
    return (path / CONFIG).is_file()


def run_model(folder: Path) -> Path:
    """Path of the best model of a run.

    Raises:
        FileNotFoundError: if the run has not saved one yet.
    """
    if not (folder / BEST).is_file():
        raise FileNotFoundError(f"{folder}: the run has no {BEST} yet; it is written after the first epoch")
    return folder / BEST


def run_history(folder: Path) -> Path | None:
    """Path of the log of a run, None if there is none yet."""
    return folder / HISTORY if (folder / HISTORY).is_file() else None


def run_validation(folder: Path, progress: bool) -> DetectionDataset:
    """The validation images of a run.

    Raises:
        FileNotFoundError, ValueError: as `start_run`, if the data are no longer there.
    """
    config = read_config(folder / CONFIG)
    return find_data(config).load(config.seed, progress)[1]


def run_settings(folder: Path) -> dict[str, Any]:
    """What a run was trained with: its options and versions, those that are set.

    Raises:
        ValueError: for a damaged file; names it.
    """
    settings = {
        k: v for k, v in msgspec.structs.asdict(read_config(folder / CONFIG)).items() if v is not None
    }
    path = folder / VERSIONS
    if path.is_file():
        try:
            versions = json.loads(read_text(path, _MAX_VERSIONS))
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{path}: expected the versions of a run as JSON: {error}") from None
        if isinstance(versions, dict):
            settings |= {f"{name} (environment)": _shown(value) for name, value in versions.items() if value}
    return settings


def _shown(value):
    return ", ".join(map(str, value)) if isinstance(value, list) else value
