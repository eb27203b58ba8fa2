"""DataGenerator: batches of augmented samples for `fit`."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from functools import partial
from typing import Literal

import keras
import numpy as np

from ...arguments import checked
from ...limits import BATCH_SIZE, QUEUE_SIZE, SHARDS, WORKERS
from ..augmentation.sample import SampleTransform
from ..class_order import align_classes
from ..dataset import DetectionDataset
from ..encoder import GroundTruthEncoder
from ..images import ImageError
from .cache import cache_in_ram
from .checks import check_encoder, check_kinds, checked_factors, checked_host
from .lookahead import LookAhead
from .order import Order, part_of_batch
from .processes import ProcessPool
from .samples import SampleMaker

# With on_error="skip", training stops if more than this share of the samples, and at least this many, fail.
MAX_FAILED_SHARE = 0.1
MIN_FAILURES = 10
MAX_ATTEMPTS = 20  # to replace one sample


@checked(batch_size=BATCH_SIZE, workers=WORKERS, max_queue_size=QUEUE_SIZE, seed=0, shuffle_window=SHARDS)
class DataGenerator(keras.utils.PyDataset):
    """Batches of a data set.

    With an encoder, a batch is (images, targets) for `fit`: (batch, height, width, channels) uint8, RGB
    first, and (batch, num_anchors, 4 + 1 + num_classes) float32, or (batch, num_anchors, 5) if sparse.
    Without one it is (images, annotations), a list of dictionaries with `image_id`, `boxes` (relative xyxy),
    `labels` and `difficult`. The last batch may be smaller, see `drop_last`.

    `class_weight=` of `fit` does not work, since a target has many anchors: use `class_weights=` of the loss.

    A sample depends on (seed, epoch, its index in the data set) only: not on the workers, the batch size, or
    where a run was resumed. To resume at epoch n set `generator.epoch = n`; `first_batch` is the batch that
    will be asked for first, in that epoch only. Pass `shuffle=False` to `fit`;
    otherwise Keras shuffles whole batches with its own seed. Pass no `steps_per_epoch`: an epoch is one pass
    over the data.

    During `fit`, `evaluate` and `predict`, the generator's own workers make batches ahead. Keras sees a data
    set without workers, and on TensorFlow copies batches to the device while the model runs. OpenCV's own
    threads are switched off in the process (`cv2.setNumThreads(1)`).

    `close()` ends the workers. TensorFlow never frees a data set, so processes would otherwise stay until
    Python ends. `train` closes its generators, also those that are passed to it. A closed generator can be
    used again.

    Args:
        dataset: a `DetectionDataset`.
        batch_size: samples in a batch.
        transform: a `SampleTransform`, such as `ssd_augmentation((300, 300))`, or `Stages` of two.
        encoder: a `GroundTruthEncoder`, or None. If it was made from a model with class names, the labels
            follow the model's order, see `align_classes`.
        shuffle: whether each epoch has its own order.
        drop_last: whether an epoch leaves out its last batch if that has fewer samples than the others. With
            `shuffle`, each epoch leaves out other images.
        shuffle_window: of a data set in shards (see `load_shards`), how many shards are read at a time. Each
            epoch puts the shards into another order, takes so many of them, and shuffles their images. None:
            16. A window of all shards mixes all images. Other data sets have no windows.
        host: (number of this host, number of hosts) where several hosts train one model. The images of an
            epoch have the same order for any number of hosts, and each batch of all hosts is divided among
            them: `batch_size` samples for each. Give all hosts the same data set and seed.
        seed: seed of all randomness.
        workers: threads that make batches ahead; None takes one for each processor, up to eight; 0 makes each
            batch when it is asked for.
        use_multiprocessing: True: workers are processes. Threads share the GIL: a few of them scale well; on
            machines with many cores use processes. Transforms and image functions must then be picklable.
            Where processes are not forked (macOS, Windows) each imports Keras first, which takes some seconds
            and up to a gigabyte.
        max_queue_size: batches in the making or waiting; the generator holds no more.
        cache: None, or "ram" to decode all images once (see `cache_in_ram`).
        on_error: "raise", or "skip": another sample takes the place of one whose image cannot be used. Each
            such image is reported in one warning and in `failed_images`; `num_failures` counts those of the
            epoch. Training stops if more than a tenth of the samples so far fail, and at least ten.
        repeat_factors: how often an epoch shows each image, (images,) numbers of at least 1, such as those of
            `multibox.repeat_factors`. A factor of 2.3 is two or three times, 2.3 on average. Each repeat is
            augmented again. None: once.

    Raises:
        TypeError: for a data set, transform or count of another kind.
        ValueError: for an empty data set, images with different channels, an option out of range, an encoder
            whose image size or number of classes differs from the transform's or the data set's, a RAM
            cache for processes that cannot share it, a window for a data set without shards, a last batch
            with fewer samples than hosts, or `drop_last` with fewer samples than a batch has.
        ImageError: (from a batch) for an image that cannot be read; names it.
    """

    def __init__(
        self,
        dataset: DetectionDataset,
        batch_size: int,
        transform: SampleTransform | Callable,
        encoder: GroundTruthEncoder | None = None,
        *,
        shuffle: bool = True,
        seed: int = 0,
        workers: int | None = None,
        use_multiprocessing: bool = False,
        max_queue_size: int = 10,
        cache: Literal["ram"] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        repeat_factors: np.ndarray | Sequence[float] | None = None,
        drop_last: bool = False,
        shuffle_window: int | None = None,
        host: tuple[int, int] = (0, 1),
    ):
        super().__init__()
        workers = min(8, os.cpu_count() or 1) if workers is None else workers
        check_kinds(dataset, transform)
        if use_multiprocessing and workers < 1:
            raise ValueError(
                "DataGenerator: workers must be at least 1, got 0: use_multiprocessing needs one"
            )
        # NumPy's numbers become Python's.
        self.batch_size, self.num_workers = int(batch_size), int(workers)
        self.queue_size, self.seed = int(max_queue_size), int(seed)
        if encoder is not None:
            dataset = align_classes(dataset, encoder.class_names, "DataGenerator")
            check_encoder(encoder, dataset, transform)
        if cache and use_multiprocessing and multiprocessing.get_start_method() != "fork":
            raise ValueError(
                'DataGenerator: cache="ram" with use_multiprocessing=True needs the start method "fork"; use '
                "threads, or an HDF5 file with decoded images"
            )
        self.repeat_factors = (
            None if repeat_factors is None else checked_factors(repeat_factors, len(dataset))
        )
        self.dataset = cache_in_ram(dataset) if cache == "ram" else dataset
        self._order = Order(self.dataset, self.seed, self.repeat_factors, shuffle_window)
        self.shuffle_window = self._order.window
        self.drop_last = drop_last
        self.host = checked_host(host, self._order.num_samples, self.batch_size, drop_last)
        self.transform = transform
        self.encoder = encoder
        self.shuffle = shuffle
        self.in_processes = use_multiprocessing
        self.on_error = on_error
        self.epoch = 0
        self.first_batch = 0
        self.failed_images = {}  # image_id: what is wrong with it
        self.num_failures = 0
        self.failure = None  # the exception of the last batch that was taken, see `naming_failures`
        self._tried = 0
        self._maker = SampleMaker(transform, encoder, dataset.pixels.channels)
        self._pool = None
        self._ahead = self._fetching = None
        self._is_open = False  # an epoch, from its beginning to its end
        self._num_taken = 0

    def __repr__(self):
        encoder = "no encoder" if self.encoder is None else repr(self.encoder)
        return f"<DataGenerator: {len(self)} batches of {self.batch_size}, {self.dataset!r}, {encoder}>"

    def __len__(self):
        whole, rest = divmod(self._order.num_samples, self.whole_batch_size)
        return whole + bool(rest and not self.drop_last)

    @property
    def whole_batch_size(self) -> int:
        """Samples in a batch of all hosts."""
        return self.batch_size * self.host[1]

    def num_samples_in(self, batch: int) -> int:
        """Samples in a batch of all hosts, of which there are fewer in the last one."""
        return min(self.whole_batch_size, self._order.num_samples - batch * self.whole_batch_size)

    def on_epoch_begin(self):
        self._stop_ahead()  # of an epoch that was interrupted
        self._tried = self.num_failures = 0
        self._is_open = True
        self._num_taken = 0
        if self.in_processes and self._pool is None:
            self._pool = ProcessPool(self._maker, self.num_workers, self.batch_size)
        self._fetching = self._order.fetching(
            self.epoch, self.shuffle, self.host, self.first_batch * self.batch_size
        )
        if self.num_workers:
            make = partial(self._make, self.epoch)
            self._ahead = LookAhead(
                make, self.epoch, len(self), self.num_workers, self.queue_size, self.first_batch
            )

    def on_epoch_end(self):
        self._stop_ahead()
        # Keras also looks at one or two batches before the first epoch, and closes what it did not open.
        if self._is_open and self._num_taken >= len(self) - self.first_batch:
            self.epoch += 1
            self.first_batch = 0
        self._is_open = False

    def close(self) -> None:
        """Ends workers and drops batches that were made ahead."""
        self._stop_ahead()
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def __getitem__(self, batch):
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        self.failure = None
        if self._fetching is not None:
            self._fetching.advance(batch * self.batch_size)
        try:
            if self._ahead is not None and self._ahead.epoch == self.epoch:
                content, num_tried, failures = self._ahead.take(batch)
            else:
                content, num_tried, failures = self._make(self.epoch, batch)
            self._note(num_tried, failures)
        except Exception as error:
            self.failure = error
            raise
        self._num_taken += self._is_open
        return content

    def _stop_ahead(self):
        if self._fetching is not None:
            self._fetching.close()
            self._fetching = None
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None

    def _make(self, epoch, batch):
        """A batch, the number of samples tried for it, and [(record, error)] of those that failed."""
        order = self._order.of_epoch(epoch, self.shuffle)
        mine = order[part_of_batch(batch, self.batch_size, self.host)]
        indices = [int(index) for index in mine]
        images = np.empty((len(indices), *self.transform.image_size, self._maker.channels), np.uint8)
        targets = None
        if self.encoder is not None:
            targets = np.empty((len(indices), *self.encoder.target_shape), np.float32)
        records = [self.dataset[index % len(self.dataset)] for index in indices]  # see `repeated`
        keys = [(self.seed, epoch, index) for index in indices]
        annotations, errors = self._fill(records, keys, images, targets)
        failures = []
        for i, error in errors.items():
            if self.on_error == "raise":
                raise error
            failures.append((records[i], error))
            one = slice(i, i + 1)
            target = None if targets is None else targets[one]
            annotations[one] = self._replacement(keys[i], images[one], target, failures)
        content = images, annotations if targets is None else targets
        return content, len(records) + len(failures), failures

    def _fill(self, *arguments):
        pool = self._pool
        if pool is None:
            return self._maker.fill(*arguments)
        try:
            return pool.fill(*arguments)
        except BrokenExecutor as error:
            self._pool = None  # the next epoch starts another one
            raise RuntimeError(
                "DataGenerator: a worker process died, perhaps for lack of memory; use fewer workers or a "
                "smaller batch"
            ) from error

    def _replacement(self, key, image, target, failures):
        """Makes another sample in place of one that failed; which one follows from its key."""
        rng = np.random.default_rng((*key, 0))
        for attempt in range(1, MAX_ATTEMPTS + 1):
            record = self.dataset[int(rng.integers(len(self.dataset)))]
            annotations, errors = self._maker.fill([record], [(*key, attempt)], image, target)
            if not errors:
                return annotations
            failures.append((record, errors[0]))
        raise ImageError(f"none of {MAX_ATTEMPTS} images could replace a broken one: {errors[0]}")

    def _note(self, num_tried, failures):
        """Counts images that cannot be used and warns of each once."""
        self._tried += num_tried
        self.num_failures += len(failures)
        for record, error in failures:
            if record.image_id not in self.failed_images:
                self.failed_images[record.image_id] = str(error)
                warnings.warn(f"DataGenerator: skipped: {error}", stacklevel=3)
        if failures and self.num_failures >= max(MIN_FAILURES, MAX_FAILED_SHARE * self._tried):
            raise ImageError(
                f"{self.num_failures} of {self._tried} samples had an image that cannot be used, too many "
                f"to skip; the last: {failures[-1][1]}"
            )


@contextmanager
def naming_failures(*generators):
    """Raises a generator's own exception; TensorFlow would wrap it in another one."""
    try:
        yield
    except Exception as error:
        for generator in generators:
            failure = getattr(generator, "failure", None)
            if failure is not None and failure is not error and str(failure) in str(error):
                raise failure from None
        raise
