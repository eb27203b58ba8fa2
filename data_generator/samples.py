"""Samples: what a batch is made of, wherever it is made (here, in threads, in other processes)."""

from dataclasses import dataclass

import cv2
import numpy as np

from .encoder import GroundTruthEncoder
from .images import ImageError
from .presets import SampleTransform


@dataclass(frozen=True)
class SampleMaker:
    """Makes samples. Each depends on its record and on (seed, epoch, index) only.

    Attributes:
        transform: a `SampleTransform`.
        encoder: a `GroundTruthEncoder`, or None.
        seed: of all randomness.
    """

    transform: SampleTransform
    encoder: GroundTruthEncoder | None
    seed: int

    def fill(self, records, epoch, indices, images, targets):
        """Makes the samples of a batch.

        Args:
            records: `Record` of each.
            epoch: of the samples.
            indices: place of each in the data set.
            images: (samples, height, width, 3) uint8, written to.
            targets: (samples, *encoder.target_shape) float32, written to; None without encoder.

        Returns:
            Annotations of each sample (see `DataGenerator`; None with an encoder), and {position: ImageError}
            of those that cannot be made.
        """
        annotations, errors = [], {}
        for i, (record, index) in enumerate(zip(records, indices, strict=True)):
            rng = np.random.default_rng([self.seed, epoch, index])
            try:
                annotations.append(self.make(record, rng, images[i], None if targets is None else targets[i]))
            except ImageError as error:
                annotations.append(None)
                errors[i] = error
        return annotations, errors

    def make(self, record, rng, image, target):
        """Makes one sample, written to `image` and `target`; returns its annotations or None."""
        # Batches are prepared side by side, and OpenCV's own threads would only stand in their way. The
        # setting belongs to the process, of which each worker may be another.
        cv2.setNumThreads(1)
        image[:], view = self.transform(record, rng)
        if self.encoder is not None:
            self.encoder(view.relative_boxes(), view.labels, out=target)
            return None
        return {
            "image_id": record.image_id,
            "boxes": view.relative_boxes(),
            "labels": view.labels,
            "difficult": view.difficult,
        }
