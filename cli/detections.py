"""The detections that a command is about: those of a model, or those in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import is_folder
from .backend import start_keras

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    import numpy as np

    from ..data_generator import DetectionDataset
    from ..eval_utils import ExportedDetector

# Files of detections; a model ends with .keras.
SUFFIXES = (".json", ".csv", ".tsv", ".txt")


def find_detections(model: str, dataset: DetectionDataset, batch: int, **views: Any) -> list[np.ndarray]:
    """The detections of a model on a data set, or those in a file.

    Args:
        model: path of a saved or exported model, name of a published one, or path of detections.
        dataset: the images.
        batch: images per batch of the model.
        **views: arguments of `predict_dataset`, for models only.
    """
    from ..eval_utils.exported import is_exported

    refuse_run(model)
    path = Path(model)
    if path.suffix.lower() in SUFFIXES or (is_folder(path) and not is_exported(path)):
        from ..eval_utils import load_detections

        if views.get("tiles") or views.get("flip"):
            raise ValueError(f"{model}: --tiles and --flip are for models, and this is a file of detections")
        return load_detections(path, dataset)
    start_keras()
    from ..eval_utils import predict_dataset

    return predict_dataset(find_detector(model, dataset.class_names), dataset, batch, **views)


def find_detector(model: str, class_names: Sequence[str] | None = None) -> keras.Model | ExportedDetector:
    """The model that a command names; with an exported one. Otherwise as `find_model`."""
    from ..eval_utils.exported import is_exported, load_detector
    from ..models.pretrained import find_model

    refuse_run(model)
    return load_detector(model) if is_exported(model) else find_model(model, class_names)


def refuse_run(model: str) -> None:
    """Raises ValueError for the folder of a run in place of a model; names the model in it."""
    from ..runner.folder import BEST
    from ..runner.reports import is_run

    if is_run(Path(model)):
        raise ValueError(f"{model}: this is the folder of a run; its model is {Path(model) / BEST}")
