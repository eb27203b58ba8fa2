"""Makes the samples of a batch, in this process, in threads or in other processes."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..augmentation.sample import SampleTransform
from ..augmentation.stages import Stages
from ..encoder import GroundTruthEncoder
from ..images import ImageError


@dataclass(frozen=True)
class SampleMaker:
    """Makes samples. Each depends only on its record and on the key that seeds its random generator.

    Attributes:
        transform: a `SampleTransform`, or `Stages`.
        encoder: a `GroundTruthEncoder`, or None.
        channels: number of channels of the images.
    """

    transform: SampleTransform | Stages
    encoder: GroundTruthEncoder | None
    channels: int = 3

    def fill(self, records, keys, images, targets):
        """Makes the samples of a batch.

        Args:
            records: `Record` of each sample.
            keys: the integers that seed the random generator, for each sample; the second is the epoch.
            images: (samples, height, width, channels) uint8, written to.
            targets: (samples, *encoder.target_shape) float32, written to; None without encoder.

        Returns:
            Annotations of each sample (see `DataGenerator`; None with an encoder), and {position: ImageError}
            of the samples that cannot be made.
        """
        # Batches are prepared in parallel, and OpenCV's own threads would only compete with them. The
        # setting belongs to the process; a worker may be another process.
        cv2.setNumThreads(1)
        views, errors = {}, {}
        for i, (record, key) in enumerate(zip(records, keys, strict=True)):
            try:
                images[i], views[i] = self._transform_at(key)(record, np.random.default_rng(key))
            except ImageError as error:
                errors[i] = error
        annotations = [None] * len(records)
        # After all images are drawn: the anchors then stay in the processor's cache.
        for i, view in views.items():
            boxes = view.relative_boxes()
            if self.encoder is not None:
                self.encoder(boxes, view.labels, out=targets[i])
            else:
                flags = {"labels": view.labels, "difficult": view.difficult}
                annotations[i] = {"image_id": records[i].image_id, "boxes": boxes, **flags}
        return annotations, errors

    def _transform_at(self, key):
        return self.transform.of_epoch(key[1]) if isinstance(self.transform, Stages) else self.transform
