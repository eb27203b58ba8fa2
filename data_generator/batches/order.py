"""The order of the samples of an epoch, and which of them a host makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..class_balance import num_repeated, repeated
from ..dataset import DetectionDataset
from ..formats.shards import ShardImage, ShardImages
from ..record_table import RecordTable
from .fetching import ShardsAhead

WINDOW = 16  # shards whose images are mixed, unless stated


class Order:
    """The order of the samples of each epoch. It follows from the seed and the epoch.

    Args:
        dataset: a `DetectionDataset`.
        seed: seed of the generator.
        factors: how often each image is taken, (images,), or None.
        window: shards at a time; None: `WINDOW` if the data set is in shards.

    Attributes:
        num_samples: samples of an epoch, on all hosts.
        window: shards at a time, or None for a data set that is in no shards.

    Raises:
        ValueError: for a window and a data set that is in no shards.
    """

    def __init__(self, dataset: DetectionDataset, seed: int, factors: np.ndarray | None, window: int | None):
        self._dataset, self._num_images = dataset, len(dataset)
        self._seed, self._factors = seed, factors
        self._shards = shard_numbers(dataset)
        if window is not None and self._shards is None:
            raise ValueError(
                f"DataGenerator: shuffle_window is for data sets of load_shards, leave it out: {dataset!r}"
            )
        self.window = None if self._shards is None else int(window or WINDOW)
        self.num_samples = self._num_images if factors is None else num_repeated(factors)
        self._last = None, None  # epoch and shuffle, and what `of_epoch` gave for them

    def of_epoch(self, epoch: int, shuffle: bool) -> Sequence[int]:
        """The numbers of the samples of an epoch: indices of images, and more for repeats, see `repeated`."""
        known, order = self._last
        if known != (epoch, shuffle):
            order = self._new(np.random.default_rng([self._seed, epoch]), shuffle)
            self._last = (epoch, shuffle), order
        return order

    def fetching(self, epoch: int, shuffle: bool, host: tuple[int, int], first: int) -> ShardsAhead | None:
        """What fetches the shards of an epoch ahead; None if they are read where they are.

        Args:
            epoch: number of the epoch.
            shuffle: as for `of_epoch`.
            host: (number of the host, number of hosts).
            first: how many samples of this host are left out at the beginning.
        """
        if self._shards is None or self._dataset[0].image.shard.cache is None:
            return None
        mine = np.asarray(self.of_epoch(epoch, shuffle))[host[0] :: host[1]] % self._num_images
        return ShardsAhead(self._dataset, self._shards, mine, self.window, first)

    def _new(self, rng, shuffle):
        order = np.arange(self._num_images)
        if self._factors is not None:
            order = repeated(self._factors, rng)
        if not shuffle:
            return order
        if self._shards is None:
            return rng.permutation(order)
        return shuffled_in_windows(order, self._shards[order % self._num_images], self.window, rng)


def shard_numbers(dataset: DetectionDataset) -> np.ndarray | None:
    """The number of the shard of each image, (images,), from 0; None if images are in other files."""
    records = dataset.records
    if isinstance(records, RecordTable):
        if not isinstance(records.images, ShardImages):
            return None
        shards = records.images.shard_numbers[records.rows]
    else:
        images = [record.image for record in records]
        if not all(isinstance(image, ShardImage) for image in images):
            return None
        shards = [image.shard.address for image in images]
    return np.unique(shards, return_inverse=True)[1]


def shuffled_in_windows(
    samples: np.ndarray, shards: np.ndarray, window: int, rng: np.random.Generator
) -> np.ndarray:
    """Shuffles the shards, takes `window` of them at a time, and shuffles their samples.

    The samples of a window come from its shards in turn, one from each. So each batch has samples of all
    shards of its window. If `window` is a multiple of the number of hosts, and each host takes one of so
    many samples in turn, a host needs its own part of the shards only.

    Args:
        samples: (samples,) in any order.
        shards: (samples,) the number of the shard of each.
        window: shards at a time.
        rng: random generator.

    Returns:
        (samples,) in another order.
    """
    place = rng.permutation(int(shards.max()) + 1)[shards]  # of its shard, in this epoch
    draw = rng.random(len(samples))
    by_shard = np.lexsort((draw, place))
    place = place[by_shard]
    first = np.searchsorted(place, place)  # where its shard begins
    turn = np.arange(len(samples)) - first
    return samples[by_shard[np.lexsort((place, turn, place // window))]]


def part_of_batch(batch: int, batch_size: int, host: tuple[int, int]) -> slice:
    """Which positions in the order of all hosts make a batch of one host.

    Args:
        batch: number of the batch.
        batch_size: samples in a batch of one host.
        host: (number of the host, number of hosts).
    """
    number, hosts = host
    start = batch * batch_size * hosts
    return slice(start + number, start + batch_size * hosts, hosts)
