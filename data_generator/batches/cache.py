"""Images decoded once and kept in memory."""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import psutil
from tqdm import tqdm

from ...arguments import checked
from ..dataset import DetectionDataset
from ..images import ImageError

_stores = weakref.WeakValueDictionary()  # {id: _Store}; forked worker processes inherit it


class _Store:
    """A block of memory that holds the pixels of many images."""

    def __init__(self, size):
        self.pixels = np.empty(size, np.uint8)
        _stores[id(self)] = self


@dataclass(frozen=True, eq=False)
class CachedImage:
    """An image function (see `read_image`) that finds its pixels in memory.

    Attributes:
        store: the block of memory; its id after unpickling.
        start: position of the image's first byte.
        shape: (rows, columns, channels).
    """

    store: _Store | int
    start: int
    shape: tuple[int, int, int]

    def __call__(self):
        store = _stores.get(self.store) if isinstance(self.store, int) else self.store
        if store is None:
            raise RuntimeError(
                "an image cached in RAM was sent to a process that does not share it: use threads, or the "
                "start method 'fork', or an HDF5 file (see create_hdf5_dataset)"
            )
        return store.pixels[self.start : self.start + int(np.prod(self.shape))].reshape(self.shape)

    def __reduce__(self):
        store = self.store if isinstance(self.store, int) else id(self.store)
        return CachedImage, (store, self.start, self.shape)


@checked()
def cache_in_ram(dataset: DetectionDataset, *, progress: bool = True) -> DetectionDataset:
    """Decodes all images of a data set into one block of memory.

    A byte for each channel of a pixel: Pascal VOC 2007 (9963 images) takes 5.4 GB.

    Args:
        dataset: a `DetectionDataset`.
        progress: whether to show a progress bar.

    Returns:
        `DetectionDataset` with the same annotations. An image that cannot be read is not cached. It
        fails when it is used; `on_error` of `DataGenerator` decides what happens then.

    Raises:
        MemoryError: if the images take more than the free memory; states both.
    """
    shapes = [(record.height, record.width, record.pixels.channels) for record in dataset]
    ends = np.cumsum([np.prod(shape, dtype=np.int64) for shape in shapes])
    free = psutil.virtual_memory().available
    if ends[-1] > free:
        raise MemoryError(
            f"cache_in_ram: {dataset!r} takes {ends[-1] / 2**30:.1f} GiB decoded, {free / 2**30:.1f} GiB are "
            "free; use create_hdf5_dataset, or no cache"
        )
    store = _Store(int(ends[-1]))

    def load(i):
        image = CachedImage(store, int(ends[i] - np.prod(shapes[i])), shapes[i])
        try:
            image()[:] = dataset[i].read()
        except ImageError:
            return dataset[i]
        return replace(dataset[i], image=image)

    with ThreadPoolExecutor() as pool:
        loading = pool.map(load, range(len(dataset)))
        bar = tqdm(loading, "cache", len(dataset), unit=" images", disable=not progress, leave=False)
        return DetectionDataset(dataset.class_names, bar, dataset.name)
