"""Stages: an augmentation that changes in the course of a training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...arguments import checked
from ..record import Record
from .sample import SampleTransform
from .view import View


@checked(epochs=1)
@dataclass(frozen=True)
class Stages:
    """One augmentation in the first epochs, and another in the rest.

    Strong augmentations such as `Mosaic` make images unlike those that the model is for. A training that ends
    with plain ones takes less of that into the model (Ge et al. 2021, YOLOX, section 2.1).

    Attributes:
        first: the augmentation of the first epochs.
        epochs: their number.
        rest: the augmentation of all other epochs.

    Raises:
        ValueError: if the two make images of different sizes.
    """

    first: SampleTransform
    epochs: int
    rest: SampleTransform

    def __post_init__(self):
        if self.first.image_size != self.rest.image_size:
            raise ValueError(
                f"Stages: first and rest must make images of one size, got {self.first.image_size} and "
                f"{self.rest.image_size}"
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the samples."""
        return self.first.image_size

    def of_epoch(self, epoch: int) -> SampleTransform:
        """The augmentation of an epoch, counted from 0."""
        return self.first if epoch < self.epochs else self.rest

    def __call__(self, record: Record, rng: np.random.Generator) -> tuple[np.ndarray, View]:
        """A sample of the first epochs."""
        return self.first(record, rng)
