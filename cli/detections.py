"""The detections that a command is about: those of a model, or those in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .backend import start_keras

if TYPE_CHECKING:
    import numpy as np

    from ..data_generator import DetectionDataset

# Files of detections; a model ends with .keras.
SUFFIXES = (".json", ".csv", ".tsv", ".txt")


def find_detections(model: str, dataset: DetectionDataset, batch: int, **views: Any) -> list[np.ndarray]:
    """The detections of a model on a data set, or those in a file.

    Args:
        model: path of a saved model, name of a published one, or path of detections.
        dataset: the images.
        batch: images per batch of the model.
        **views: arguments of `predict_dataset`, for models only.
    """
    path = Path(model)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        from ..eval_utils import load_detections

        if views.get("tiles") or views.get("flip"):
            raise ValueError(f"{model}: --tiles and --flip are for models, and this is a file of detections")
        return load_detections(path, dataset)
    start_keras()
    from ..eval_utils import predict_dataset
    from ..models.pretrained import find_model

    return predict_dataset(find_model(model, dataset.class_names), dataset, batch, **views)
