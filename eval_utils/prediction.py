"""Detections of a model for a whole data set."""

from contextlib import closing

import keras
import numpy as np
from tqdm import tqdm

from ..boxes import clip
from ..data_generator import DataGenerator, ssd_eval
from ..data_generator.batches.generator import naming_failures
from ..models.detector import anchors_of, is_detector, num_classes_of, to_inference

# Batches that are prepared ahead of the model.
QUEUE = 4


class _Progress(keras.callbacks.Callback):
    """Moves a tqdm bar by the images of each batch."""

    def __init__(self, bar, batch_size):
        super().__init__()
        self.bar = bar
        self.batch_size = batch_size

    def on_predict_batch_end(self, batch, logs=None):
        self.bar.update(min(self.batch_size, self.bar.total - self.bar.n))


class _Images(DataGenerator):
    """The generator's images alone, which is what `Model.predict` takes."""

    def __getitem__(self, batch):
        return (super().__getitem__(batch)[0],)


def predict_dataset(model, dataset, batch_size=8, transform=None, progress=True, workers=None):
    """Runs a detector over a data set.

    Args:
        model: a model of this package; one built for training is turned into a detector with
            `to_inference` and its default options first.
        dataset: a `DetectionDataset` with as many classes as the model.
        batch_size: images at once.
        transform: None for `ssd_eval` at the model's size. Another one must show whole images.
        progress: whether to show a progress bar.
        workers: see `DataGenerator`.

    Returns:
        A list with one (detections, 6) float32 array for each record, rows
        [class_id, score, xmin, ymin, xmax, ymax] by descending score, in pixels of the original image
        (continuous, clipped to it).

    Raises:
        ImageError: for an image that cannot be read; names it.
        ValueError: if the model and the data set have different numbers of classes, or the model and the
            transform different image sizes.
    """
    if num_classes_of(model) != dataset.num_classes:
        raise ValueError(
            f"predict_dataset: the model has {num_classes_of(model)} classes, the data set "
            f"{dataset.num_classes} ({', '.join(dataset.class_names)})"
        )
    detector = model if is_detector(model) else to_inference(model)
    size = anchors_of(model).image_size
    transform = transform or ssd_eval(size)
    if transform.image_size != size:
        raise ValueError(
            f"predict_dataset: the transform makes {transform.image_size}, the model takes {size}"
        )
    images = _Images(dataset, batch_size, transform, shuffle=False, workers=workers, max_queue_size=QUEUE)
    bar = tqdm(total=len(dataset), desc="predict", unit=" images", disable=not progress, leave=False)
    with bar, closing(images), naming_failures(images):
        rows = detector.predict(images, verbose=0, callbacks=[_Progress(bar, batch_size)])
    return [to_pixels(r, record.width, record.height) for r, record in zip(rows, dataset, strict=True)]


def to_pixels(rows, width, height):
    """Relative detections (top_k, 6) of one image to pixels; padding rows go.

    Returns:
        (detections, 6), boxes in pixels and clipped to the image.
    """
    rows = np.array(rows[rows[:, 1] > 0], np.float32)
    rows[:, 2:] = clip(rows[:, 2:] * (width, height, width, height), (0, 0), (width, height))
    return rows
