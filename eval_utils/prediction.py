"""Runs a detector: on images (`detect`) and on a whole data set (`predict_dataset`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, overload
from weakref import WeakKeyDictionary

import keras
import numpy as np
from tqdm import tqdm

from ..arguments import checked
from ..boxes import clip
from ..data_generator import DataGenerator, DetectionDataset, Record, SampleTransform, resize_only
from ..data_generator.batches.generator import naming_failures
from ..data_generator.dataset import align_classes
from ..data_generator.formats.fields import IMAGE_SUFFIXES
from ..data_generator.images import ImageError, image_size
from ..layers.multibox import multibox_of
from ..models.detector import anchors_of, class_names_of, is_detector, model_of, num_classes_of, to_inference
from .detections import Detections

# Batches that are prepared while the model runs.
MAX_QUEUED = 4
# From this number of images on, `detect` shows a progress bar by default.
MIN_IMAGES_FOR_PROGRESS = 16

Image = str | os.PathLike[str] | np.ndarray

# The detectors of training models. With them, a second call of `detect` does not compile again.
_detectors: WeakKeyDictionary = WeakKeyDictionary()


# A path may be a file or a folder, so a type checker cannot know what `detect` returns for it.
@overload
def detect(
    model: keras.Model | str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    min_score: float = 0.5,
    batch_size: int = 8,
    progress: bool | None = None,
) -> Any: ...


@overload
def detect(
    model: keras.Model | str | os.PathLike[str],
    images: np.ndarray,
    *,
    min_score: float = 0.5,
    batch_size: int = 8,
    progress: bool | None = None,
) -> Detections: ...


@overload
def detect(
    model: keras.Model | str | os.PathLike[str],
    images: Sequence[Image],
    *,
    min_score: float = 0.5,
    batch_size: int = 8,
    progress: bool | None = None,
) -> list[Detections]: ...


@checked(batch_size=1)
def detect(
    model: keras.Model | str | os.PathLike[str],
    images: Image | Sequence[Image],
    *,
    min_score: float = 0.5,
    batch_size: int = 8,
    progress: bool | None = None,
) -> Detections | list[Detections]:
    """Detects objects in images.

    Args:
        model: a model of this package, for training or for inference, or the path of a saved one (`.keras`).
        images: one of

            * the path of an image,
            * an array (height, width, 3) RGB uint8,
            * a list of paths and arrays, whose sizes may differ,
            * the path of a folder, whose image files are read in the order of their names.
        min_score: minimum score of the detections that are returned.
        batch_size: images per batch.
        progress: whether to show a progress bar; None: for 16 images or more.

    Returns:
        `Detections` for one image, a list of `Detections` for a list or a folder.

    Raises:
        FileNotFoundError: for a path that does not exist, or a folder without images.
        ImageError: for a file that cannot be read as an image, or an array of another shape or type.
        ValueError: for an empty list, or a model that is not of this package.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f"detect: min_score must be between 0 and 1, got {min_score}")
    if not isinstance(model, keras.Model):
        if Path(model).suffix.lower() in IMAGE_SUFFIXES:
            raise ValueError(f"detect: {model} is an image; the model comes first: detect(model, images)")
        model = model_of(model, "detect")
    single = not isinstance(images, Sequence) or isinstance(images, str)
    single = single and not _is_folder(images)
    sources = [images] if single else _files_in(images) if _is_folder(images) else list(images)
    if not sources:
        raise ValueError("detect: images must have at least one image, got an empty list")
    records = [_record(source, i) for i, source in enumerate(sources)]
    names = class_names_of(model)
    dataset = DetectionDataset([str(i + 1) for i in range(num_classes_of(model))], records, "detect")
    show = len(records) >= MIN_IMAGES_FOR_PROGRESS if progress is None else progress
    found = _predict(model, dataset, batch_size, resize_only(anchors_of(model).image_size), show, None)
    detections = [
        Detections.from_rows(rows[rows[:, 1] >= min_score], names, (r.height, r.width), _given(source))
        for rows, r, source in zip(found, records, sources, strict=True)
    ]
    return detections[0] if single else detections


@checked(batch_size=1, workers=0)
def predict_dataset(
    model: keras.Model,
    dataset: DetectionDataset,
    batch_size: int = 8,
    *,
    transform: SampleTransform | Callable | None = None,
    progress: bool = True,
    workers: int | None = None,
) -> list[np.ndarray]:
    """Runs a detector over a data set.

    Args:
        model: a model of this package. A model for training is converted with `to_inference` and its default
            options.
        dataset: a `DetectionDataset` with the model's classes. If their order differs, the returned class ids
            are those of the data set.
        batch_size: images per batch.
        transform: a `SampleTransform` that keeps whole images, or a function like it with an `image_size`.
            None: `resize_only` at the model's size.
        progress: whether to show a progress bar.
        workers: see `DataGenerator`.

    Returns:
        A list with one (detections, 6) float32 array for each record. Its rows
        [class_id, score, xmin, ymin, xmax, ymax] are sorted by descending score. Boxes are in pixels of the
        original image (continuous) and clipped to it.

    Raises:
        ImageError: for an image that cannot be read; the message names it.
        ValueError: if the model and the data set have different classes, or if the model and the transform
            have different image sizes.
    """
    multibox_of(model)  # refuses anything but a model of this package
    if num_classes_of(model) != dataset.num_classes:
        raise ValueError(
            f"predict_dataset: the model has {num_classes_of(model)} classes, the data set "
            f"{dataset.num_classes} ({', '.join(dataset.class_names)})"
        )
    aligned = align_classes(dataset, class_names_of(model), "predict_dataset")
    size = anchors_of(model).image_size
    transform = transform or resize_only(size)
    if (made := getattr(transform, "image_size", None)) != size:
        raise ValueError(f"predict_dataset: the transform makes {made}, the model takes {size}")
    found = _predict(model, aligned, batch_size, transform, progress, workers)
    if aligned is not dataset:
        ids = np.array([0, *(dataset.class_names.index(name) + 1 for name in aligned.class_names)])
        for rows in found:
            rows[:, 0] = ids[rows[:, 0].astype(int)]
    return found


@checked(width=1, height=1)
def to_pixels(rows: np.ndarray, width: int, height: int) -> np.ndarray:
    """Converts the relative detections (max_detections, 6) of one image to pixels; removes padding rows.

    Returns:
        (detections, 6), with boxes in pixels, clipped to the image.

    Raises:
        ValueError: for rows of another shape, such as those of a whole batch.
    """
    if np.ndim(rows) != 2 or np.shape(rows)[1] != 6:
        raise ValueError(f"to_pixels: expected the rows (detections, 6) of one image, got {np.shape(rows)}")
    rows = np.array(rows[rows[:, 1] > 0], np.float32)
    rows[:, 2:] = clip(rows[:, 2:] * (width, height, width, height), (0, 0), (width, height))
    return rows


class _Progress(keras.callbacks.Callback):
    """Advances a tqdm bar by the number of images in each batch."""

    def __init__(self, bar, batch_size):
        super().__init__()
        self.bar = bar
        self.batch_size = batch_size

    def on_predict_batch_end(self, batch, logs=None):
        self.bar.update(min(self.batch_size, self.bar.total - self.bar.n))


class _Images(DataGenerator):
    """A generator of images without targets, for `Model.predict`."""

    def __getitem__(self, batch):
        return (super().__getitem__(batch)[0],)


def _predict(model, dataset, batch_size, transform, progress, workers):
    """Detections in pixels for each image of a data set."""
    detector = _detector_of(model)
    images = _Images(
        dataset, batch_size, transform, shuffle=False, workers=workers, max_queue_size=MAX_QUEUED
    )
    bar = tqdm(total=len(dataset), desc="predict", unit=" images", disable=not progress, leave=False)
    with bar, closing(images), naming_failures(images):
        rows = detector.predict(images, verbose=0, callbacks=[_Progress(bar, batch_size)])
    return [to_pixels(r, record.width, record.height) for r, record in zip(rows, dataset, strict=True)]


def _detector_of(model):
    if is_detector(model):
        return model
    if model not in _detectors:
        _detectors[model] = to_inference(model)
    return _detectors[model]


def _is_folder(images):
    return isinstance(images, str | os.PathLike) and Path(images).is_dir()


def _files_in(folder):
    files = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise FileNotFoundError(f"detect: no image ({', '.join(IMAGE_SUFFIXES)}) in the folder {folder}")
    return files


def _record(source, index):
    """A `Record` without objects. Its id is the index, because a file may be given more than once."""
    if isinstance(source, str | os.PathLike):
        if not Path(source).exists():
            raise FileNotFoundError(f"detect: no such image or folder: {source}")
        width, height = image_size(source)
        image = str(source)
    else:
        if np.shape(source)[2:] != (3,) or getattr(source, "dtype", None) != np.uint8 or not source.size:
            raise ImageError(
                "detect: expected a path or an array (height, width, 3) RGB uint8, got "
                f"{np.shape(source)} {getattr(source, 'dtype', type(source).__name__)} at position {index}; "
                "for values from 0 to 1 pass (image * 255).astype('uint8'), for a picture of Pillow "
                "np.asarray(image.convert('RGB'))"
            )
        height, width = source.shape[:2]
        image = partial(np.asarray, source)
    return Record(f"{index}", image, width, height, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))


def _given(source):
    return source if isinstance(source, np.ndarray) else str(source)
