"""What a `DataGenerator` refuses."""

from __future__ import annotations

import numpy as np

from ...arguments import check_bounds
from ...limits import NUM_SAMPLES
from ..class_balance import num_repeated


def checked_factors(factors, count):
    """The repeat factors as float64, after a check."""
    factors = np.asarray(factors, np.float64)
    if factors.shape != (count,) or not (np.isfinite(factors) & (factors >= 1)).all():
        raise ValueError(
            f"DataGenerator: repeat_factors must be {count} finite numbers of at least 1, one an image, "
            f"got shape {factors.shape}" + (f", lowest {factors.min()}" if factors.size else "")
        )
    check_bounds("DataGenerator: the sum of repeat_factors", num_repeated(factors), NUM_SAMPLES)
    return factors


def checked_host(host, num_samples, batch_size, drop_last):
    """(number of this host, number of hosts) as int, after a check of them and of the last batch."""
    number, hosts = (int(value) for value in host)
    if not 0 <= number < hosts:
        raise ValueError(
            "DataGenerator: host must be (number of this host, number of hosts), such as (0, 4) to (3, 4), "
            f"got {tuple(host)}"
        )
    whole = batch_size * hosts
    if drop_last and num_samples < whole:
        raise ValueError(
            f"DataGenerator: drop_last leaves no batch: there are {num_samples} samples, a batch has "
            f"{whole}; choose a smaller batch_size"
        )
    rest = num_samples % whole
    if 0 < rest < hosts and not drop_last:
        raise ValueError(
            f"DataGenerator: host: the last batch has {rest} samples for {hosts} hosts; leave {rest} images "
            f"out, dataset[:-{rest}], choose another batch_size, or pass drop_last=True"
        )
    return number, hosts


def check_kinds(dataset, transform):
    if not hasattr(dataset, "class_names"):
        raise TypeError(f"DataGenerator: expected a DetectionDataset, got {type(dataset).__name__}")
    if not hasattr(transform, "image_size"):
        raise TypeError(
            "DataGenerator: expected a SampleTransform, such as ssd_augmentation((300, 300)), got "
            f"{type(transform).__name__}"
        )
    if len(dataset) == 0:
        raise ValueError(f"DataGenerator: the data set is empty: {dataset!r}")


def check_encoder(encoder, dataset, transform):
    if encoder.anchors.image_size != transform.image_size:
        raise ValueError(
            f"DataGenerator: the transform makes images of {transform.image_size} (height, width), the "
            f"encoder's anchors are for {encoder.anchors.image_size}"
        )
    if encoder.num_classes != dataset.num_classes:
        raise ValueError(
            f"DataGenerator: the encoder has {encoder.num_classes} classes, the data set "
            f"{dataset.num_classes} ({', '.join(dataset.class_names)})"
        )
