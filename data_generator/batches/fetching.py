"""Fetches the shards of the next window while the images of one are read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from ..dataset import DetectionDataset
from ..images import ImageError

_THREADS = 2  # at a time; most file systems fetch a file faster than one needs it


class ShardsAhead:
    """Fetches the shards that an epoch needs next, in threads of its own.

    Args:
        dataset: a `DetectionDataset` in shards.
        numbers: (images,) the number of the shard of each image.
        order: (samples,) indices of the images that this host reads, in the order in which it does.
        window: shards at a time; at most those of this window and of the next one are asked for.
        start: position in the order at which the epoch begins.
    """

    def __init__(
        self, dataset: DetectionDataset, numbers: np.ndarray, order: np.ndarray, window: int, start: int = 0
    ):
        shards, first = np.unique(numbers[order[start:]], return_index=True)
        first = np.sort(first) + start
        # (position at which it is needed first, shard)
        self._shards = [(int(at), dataset[int(order[at])].image.shard) for at in first]
        self._ahead = len(order) * window // max(len(shards), 1)  # images of a window
        self._next = 0
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="multibox-shards")

    def advance(self, position: int) -> None:
        """Tells that the image at this position of the order is read now."""
        while self._next < len(self._shards) and self._shards[self._next][0] <= position + self._ahead:
            self._pool.submit(_fetch, self._shards[self._next][1])
            self._next += 1

    def close(self) -> None:
        """Drops what has not begun; a copy in the making is finished."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _fetch(shard):
    with suppress(ImageError, OSError):  # whoever reads an image of the shard gets the error
        shard.path()
