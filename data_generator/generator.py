"""DataGenerator: batches of augmented samples for `fit`."""

import itertools
import operator
import os
import threading
import warnings
from contextlib import contextmanager
from functools import partial

import keras
import numpy as np

from .cache import cache_in_ram
from .images import ImageError
from .lookahead import LookAhead
from .processes import ProcessPool
from .samples import SampleMaker

# With on_error="skip", failures of more than this share of the samples, and at least so many, end the run.
MAX_FAILED_SHARE = 0.1
MIN_FAILURES = 10


class DataGenerator(keras.utils.PyDataset):
    """Batches of a data set.

    With an encoder, a batch is (images, targets) for `fit`: (batch, height, width, 3) uint8 RGB and
    (batch, num_anchors, 4 + 1 + num_classes) float32, or (batch, num_anchors, 5) from a sparse encoder.
    Without one it is (images, annotations), a list of dictionaries with `image_id`, `boxes` (relative xyxy),
    `labels` and `difficult`. The last batch may be smaller.

    A sample depends on (seed, epoch, its index in the data set) only: not on the workers, the batch size, or
    where a run was resumed. To resume at epoch n set `generator.epoch = n`. Pass `shuffle=False` to `fit`,
    which would otherwise change the order of whole batches by its own dice, and no `steps_per_epoch`: an
    epoch is one pass over the data.

    During `fit`, `evaluate` and `predict`, workers of the generator's own make batches ahead; Keras sees
    a data set without workers, and on TensorFlow then copies batches to the device while the model runs.
    OpenCV's own threads are switched off in the process (`cv2.setNumThreads(1)`).

    Args:
        dataset: a `DetectionDataset`.
        batch_size: samples in a batch.
        transform: a `SampleTransform`, such as `ssd_train((300, 300))`.
        encoder: a `GroundTruthEncoder`, or None.
        shuffle: whether each epoch has its own order.
        seed: of all randomness.
        workers: threads that make batches ahead; None takes one for each processor, up to eight; 0 makes each
            batch when it is asked for.
        use_multiprocessing: workers are processes. Threads share Python's interpreter lock, which a few of
            them do not feel; many processors want processes. Transform and image functions must then be such
            that they can be pickled.
        max_queue_size: batches in the making or waiting; the generator holds no more.
        cache: None, or "ram" to decode all images once (see `cache_in_ram`).
        on_error: "raise", or "skip" to replace a sample whose image cannot be used by another one; each such
            image is named in a warning once, and in `failed_images`; `num_failures` counts the samples. When
            they are more than a tenth of all, and at least ten, the run ends all the same.

    Raises:
        ValueError: for an empty data set, an option out of range, or an encoder whose image size or number of
            classes differs from the transform's or the data set's.
        ImageError: (from a batch) for an image that cannot be read; names it.
    """

    def __init__(
        self,
        dataset,
        batch_size,
        transform,
        encoder=None,
        shuffle=True,
        seed=0,
        workers=None,
        use_multiprocessing=False,
        max_queue_size=10,
        cache=None,
        on_error="raise",
    ):
        super().__init__()
        if len(dataset) == 0:
            raise ValueError(f"DataGenerator: the data set is empty: {dataset!r}")
        self.num_workers = min(8, os.cpu_count() or 1) if workers is None else workers
        for name, value, least in (
            ("batch_size", batch_size, 1),
            ("workers", self.num_workers, 0),
            ("max_queue_size", max_queue_size, 1),
        ):
            if value < least:
                raise ValueError(f"DataGenerator: {name} must be at least {least}, got {value}")
        _check_choice("cache", cache, (None, "ram"))
        _check_choice("on_error", on_error, ("raise", "skip"))
        if encoder is not None:
            _check_encoder(encoder, dataset, transform)
        self.dataset = cache_in_ram(dataset) if cache == "ram" else dataset
        self.batch_size = batch_size
        self.transform = transform
        self.encoder = encoder
        self.shuffle = shuffle
        self.seed = operator.index(seed)
        self.queue_size = max_queue_size
        self.on_error = on_error
        self.epoch = 0
        self.failed_images = {}  # image_id: what is wrong with it
        self.broken_image = None  # the ImageError of a batch, see `naming_broken_images`
        self._tried = self.num_failures = 0
        self._lock = threading.Lock()
        self._maker = SampleMaker(transform, encoder)
        self._pool = None
        if use_multiprocessing and self.num_workers:
            self._pool = ProcessPool(self._maker, self.num_workers, batch_size)
        self._ahead = None
        self._last_order = None, None  # epoch, and the order of its samples

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def on_epoch_begin(self):
        if self._ahead is not None:  # of an epoch that was interrupted
            self._ahead.close()
        if self.num_workers:
            make = partial(self._make, self.epoch)
            self._ahead = LookAhead(make, len(self), self.num_workers, self.queue_size)

    def on_epoch_end(self):
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
        self.epoch += 1

    def __getitem__(self, batch):
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        return self._make(self.epoch, batch) if self._ahead is None else self._ahead.take(batch)

    def _make(self, epoch, batch):
        mine = self._order(epoch)[batch * self.batch_size : (batch + 1) * self.batch_size]
        indices = [int(index) for index in mine]
        images = np.empty((len(indices), *self.transform.image_size, 3), np.uint8)
        targets = None
        if self.encoder is not None:
            targets = np.empty((len(indices), *self.encoder.target_shape), np.float32)
        records = [self.dataset[index] for index in indices]
        keys = [(self.seed, epoch, index) for index in indices]
        annotations, errors = (self._pool or self._maker).fill(records, keys, images, targets)
        self._count(len(indices))
        for i, error in errors.items():
            self._note(records[i], error)
            one = slice(i, i + 1)
            target = None if targets is None else targets[one]
            annotations[one] = self._replacement(keys[i], images[one], target)
        return images, annotations if targets is None else targets

    def _order(self, epoch):
        if not self.shuffle:
            return range(len(self.dataset))
        known, order = self._last_order
        if known != epoch:
            order = np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
            self._last_order = epoch, order
        return order

    def _replacement(self, key, image, target):
        """Makes another sample in place of one that failed; which one follows from its key."""
        rng = np.random.default_rng((*key, 0))
        for attempt in itertools.count(1):
            record = self.dataset[int(rng.integers(len(self.dataset)))]
            annotations, errors = self._maker.fill([record], [(*key, attempt)], image, target)
            self._count(1)
            if not errors:
                return annotations
            self._note(record, errors[0])

    def _count(self, tried, failed=0):
        with self._lock:  # batches are made side by side
            self._tried += tried
            self.num_failures += failed

    def _note(self, record, error):
        """Counts an image that cannot be used; raises the error where that is the policy."""
        self._count(0, failed=1)
        if self.on_error == "raise":
            self.broken_image = error
            raise error
        if record.image_id not in self.failed_images:
            self.failed_images[record.image_id] = str(error)
            warnings.warn(f"DataGenerator: skipped: {error}", stacklevel=2)
        if self.num_failures >= max(MIN_FAILURES, MAX_FAILED_SHARE * self._tried):
            self.broken_image = ImageError(
                f"{self.num_failures} of {self._tried} samples had an image that cannot be used, more than "
                f"may be skipped; the last: {error}"
            )
            raise self.broken_image


@contextmanager
def naming_broken_images(*generators):
    """Raises the `ImageError` of a generator as such; TensorFlow would wrap it in an error of its own."""
    generators = [generator for generator in generators if generator is not None]
    for generator in generators:
        generator.broken_image = None
    try:
        yield
    except Exception:
        for generator in generators:
            if generator.broken_image is not None:
                raise generator.broken_image from None
        raise


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(f"DataGenerator: {name} must be one of {choices}, got {value!r}")


def _check_encoder(encoder, dataset, transform):
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
