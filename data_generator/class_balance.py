"""Rare classes: images that are shown more often, and weights for the loss."""

from __future__ import annotations

import math

import numpy as np

from ..arguments import checked
from .dataset import DetectionDataset


@checked()
def repeat_factors(dataset: DetectionDataset, threshold: float) -> np.ndarray:
    """How often an epoch shows each image, so that rare classes are seen more often.

    Gupta et al., "LVIS", section 4.3: a class that is in a share f of the images has the factor
    max(1, sqrt(threshold / f)), and an image the highest factor of its classes. Crowd regions do not count.

    Example:

    ```python
    batches = mb.DataGenerator(
        data, 16, mb.ssd_augmentation(), encoder, repeat_factors=mb.repeat_factors(data, 0.1)
    )
    ```

    Args:
        dataset: a `DetectionDataset`.
        threshold: share of the images, above 0 and at most 1. Classes that are in fewer are repeated. LVIS,
            with 1,200 classes, uses 0.001. With few classes use more.

    Returns:
        (images,) float64, at least 1, for `DataGenerator(repeat_factors=...)`.

    Raises:
        ValueError: for a threshold that is not above 0 and at most 1.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"repeat_factors: threshold must be above 0 and at most 1, got {threshold}")
    present = [np.unique(record.labels[~record.crowd]) for record in dataset]
    images = np.bincount(np.concatenate([[], *present]).astype(int), minlength=dataset.num_classes + 1)
    share = np.maximum(images, 1) / max(len(dataset), 1)
    factors = np.maximum(1, np.sqrt(threshold / share))
    return np.array([factors[labels].max(initial=1) for labels in present])


@checked()
def balanced_class_weights(dataset: DetectionDataset) -> dict[str, float]:
    """Weights for `loss_of(model, class_weights=...)` that raise rare classes: 1 / sqrt(number of objects).

    They are scaled so that their mean over all objects is 1, and the loss keeps its size. A class without
    objects has 1.

    Returns:
        {class name: weight}.
    """
    counts = dataset.class_counts()
    scale = sum(counts.values()) / max(sum(map(math.sqrt, counts.values())), 1)
    return {name: scale / math.sqrt(count) if count else 1.0 for name, count in counts.items()}


def repeated(factors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The samples of one epoch, image after image.

    An image with the factor 2.3 is taken two or three times, and 2.3 times on average (systematic sampling).
    All epochs have `num_repeated(factors)` samples.

    Args:
        factors: (images,) at least 1.
        rng: `numpy.random.Generator`.

    Returns:
        (samples,) int. Repeat k of image i is i + k * images, so that each sample has a number of its own.
    """
    total = num_repeated(factors)
    ends = np.cumsum(factors) * (total / factors.sum())  # at most a little more than the factors
    ends[-1] = total
    counts = np.diff(np.floor(ends + rng.random()).astype(int), prepend=0)
    images = np.repeat(np.arange(len(factors)), counts)
    repeat = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    return images + repeat * len(factors)


def num_repeated(factors: np.ndarray) -> int:
    """Number of samples of an epoch: the sum of the factors, rounded up."""
    return math.ceil(factors.sum() - 1e-6)  # 1e-6: rounding errors of the sum
