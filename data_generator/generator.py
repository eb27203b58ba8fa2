"""DataGenerator: batches of augmented samples for `fit`."""

import operator
import os
from contextlib import contextmanager

import cv2
import keras
import numpy as np

from .images import ImageError


class DataGenerator(keras.utils.PyDataset):
    """Batches of a data set.

    With an encoder, a batch is (images, targets) for `fit`: (batch, height, width, 3) uint8 RGB and
    (batch, num_anchors, 4 + 1 + num_classes) float32. Without one it is (images, annotations), a list of
    dictionaries with `image_id`, `boxes` (relative xyxy), `labels` and `difficult`. The last batch may be
    smaller.

    A sample depends on (seed, epoch, its index in the data set) only: not on the number of workers, the
    batch size, or where a run was resumed. To resume at epoch n set `generator.epoch = n`. Pass
    `shuffle=False` to `fit`, which would otherwise change the order of whole batches by its own dice, and no
    `steps_per_epoch`: an epoch is one pass over the data.

    OpenCV's own threads are switched off in the process (`cv2.setNumThreads(1)`), as batches are prepared
    side by side.

    Args:
        dataset: a `DetectionDataset`.
        batch_size: samples in a batch.
        transform: a `SampleTransform`, such as `ssd_train((300, 300))`.
        encoder: a `GroundTruthEncoder`, or None.
        shuffle: whether each epoch has its own order.
        seed: of all randomness.
        workers: threads (or processes, with `use_multiprocessing=True`) that prepare batches ahead; None
            takes one for each processor, up to eight.
        **kwargs: `use_multiprocessing` and `max_queue_size` of `keras.utils.PyDataset`.

    Raises:
        ValueError: for an empty data set, batch_size < 1, or an encoder whose image size or number of
            classes differs from the transform's or the data set's.
        ImageError: (from a batch) for an image that cannot be read; names it.
    """

    def __init__(
        self, dataset, batch_size, transform, encoder=None, shuffle=True, seed=0, workers=None, **kwargs
    ):
        super().__init__(workers=min(8, os.cpu_count() or 1) if workers is None else workers, **kwargs)
        if len(dataset) == 0:
            raise ValueError(f"DataGenerator: the data set is empty: {dataset!r}")
        if batch_size < 1:
            raise ValueError(f"DataGenerator: batch_size must be at least 1, got {batch_size}")
        if encoder is not None:
            _check_encoder(encoder, dataset, transform)
        self.dataset = dataset
        self.batch_size = batch_size
        self.transform = transform
        self.encoder = encoder
        self.shuffle = shuffle
        self.seed = operator.index(seed)
        self.epoch = 0
        self.broken_image = None  # the ImageError of a batch, see `naming_broken_images`

    def __len__(self):
        return -(-len(self.dataset) // self.batch_size)

    def on_epoch_end(self):
        self.epoch += 1

    def __getitem__(self, batch):
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        cv2.setNumThreads(1)  # here, since each worker process needs it
        indices = self._order()[batch * self.batch_size : (batch + 1) * self.batch_size]
        images = np.empty((len(indices), *self.transform.image_size, 3), np.uint8)
        if self.encoder is None:
            return images, [self._annotated(index, images[i]) for i, index in enumerate(indices)]
        targets = np.empty((len(indices), *self.encoder.target_shape), np.float32)
        for i, index in enumerate(indices):
            view = self._draw(index, images[i])
            self.encoder(view.relative_boxes(), view.labels, out=targets[i])
        return images, targets

    def _order(self):
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.dataset))

    def _draw(self, index, out):
        rng = np.random.default_rng([self.seed, self.epoch, index])
        try:
            out[:], view = self.transform(self.dataset[int(index)], rng)
        except ImageError as error:
            self.broken_image = error
            raise
        return view

    def _annotated(self, index, out):
        view = self._draw(index, out)
        return {
            "image_id": self.dataset[int(index)].image_id,
            "boxes": view.relative_boxes(),
            "labels": view.labels,
            "difficult": view.difficult,
        }


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
