"""Which epoch of a run is the best, and the callbacks that find out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ..data_generator import DataGenerator
from .fit import AveragedWeights, averages
from .mean_average_precision import MAP, MeanAveragePrecision

VAL_LOSS = "val_loss"


def measured(
    best_by: str | None, validation: Any, callbacks: Sequence[keras.callbacks.Callback]
) -> tuple[list[keras.callbacks.Callback], str]:
    """The callbacks that measure mAP in addition to those of the user, and what decides about the best epoch.

    Raises:
        ValueError: if mAP is asked for and cannot be measured.
    """
    if any(isinstance(callback, MeanAveragePrecision) for callback in callbacks):
        return [], best_by or MAP
    if best_by == VAL_LOSS:
        return [], VAL_LOSS
    dataset = validation.dataset if isinstance(validation, DataGenerator) else None
    if dataset is not None and any((~(r.difficult | r.crowd)).any() for r in dataset):
        return [MeanAveragePrecision(dataset)], MAP
    if best_by == MAP:
        raise ValueError(
            'train: best_by="val_map" needs a DetectionDataset or DataGenerator for validation, with objects '
            "that are not difficult or crowd; or pass the callback MeanAveragePrecision"
        )
    return [], VAL_LOSS


def in_order(
    model: keras.Model,
    measuring: Sequence[keras.callbacks.Callback],
    callbacks: Sequence[keras.callbacks.Callback],
) -> list[keras.callbacks.Callback]:
    """The callbacks in the order in which the end of an epoch needs them: averages, mAP, the user's.

    Averaged weights are put into the model first, so that everybody sees the same weights.
    """
    first = [c for c in callbacks if isinstance(c, keras.callbacks.SwapEMAWeights)]
    if averages(model) and not first:
        first = [AveragedWeights(swap_on_epoch=True)]
    return [*first, *measuring, *(c for c in callbacks if c not in first)]


def is_best(row: Mapping[str, float], earlier: Sequence[Mapping[str, float]], best_by: str) -> bool:
    """Whether an epoch is better than all before, by its row of the log. With equal mAP, the loss decides."""
    worth = _worth(row, best_by)
    return worth is not None and all(worth > (_worth(other, best_by) or (-math.inf,)) for other in earlier)


def _worth(row, best_by):
    """What is compared, or None for an epoch that was not measured."""
    loss = row.get(VAL_LOSS, 0.0)
    worth = (-loss,) if best_by == VAL_LOSS else (row.get(MAP, math.nan), -loss)
    if (best_by == VAL_LOSS and VAL_LOSS not in row) or math.isnan(worth[0]):
        return None
    return worth
