"""Runs a detector: on images (`detect`) and on a whole data set (`predict_dataset`)."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, overload

import keras
import numpy as np
from tqdm import tqdm

from ..arguments import checked
from ..data_generator import DetectionDataset, SampleTransform, resize_only
from ..data_generator.class_order import align_classes
from ..data_generator.formats.fields import IMAGE_SUFFIXES
from ..data_generator.pixels import ValueRange, checked_pixels
from ..limits import BATCH_SIZE, WORKERS
from .detections import Detections
from .detectors import facts_of, opened
from .exported import ExportedDetector, Facts
from .given_images import files_in, given_source, image_record, is_folder
from .views import THREADS, TILED_AHEAD, Tiles, ViewDetector, checked_look, joined_rows, read_ahead

# Batches that are prepared while the model runs.
MAX_QUEUED = 4
# From this number of images on, `detect` shows a progress bar by default.
MIN_IMAGES_FOR_PROGRESS = 16

Image = str | os.PathLike[str] | np.ndarray


# A path may be a file or a folder, so a type checker cannot know what `detect` returns for it.
@overload
def detect(
    model: keras.Model | ExportedDetector | str | os.PathLike[str],
    images: str | os.PathLike[str],
    *,
    min_score: float = 0.5,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
    batch_size: int = 8,
    progress: bool | None = None,
    value_range: ValueRange = None,
) -> Any: ...


@overload
def detect(
    model: keras.Model | ExportedDetector | str | os.PathLike[str],
    images: np.ndarray,
    *,
    min_score: float = 0.5,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
    batch_size: int = 8,
    progress: bool | None = None,
    value_range: ValueRange = None,
) -> Detections: ...


@overload
def detect(
    model: keras.Model | ExportedDetector | str | os.PathLike[str],
    images: Sequence[Image],
    *,
    min_score: float = 0.5,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
    batch_size: int = 8,
    progress: bool | None = None,
    value_range: ValueRange = None,
) -> list[Detections]: ...


@checked(batch_size=BATCH_SIZE)
def detect(
    model: keras.Model | ExportedDetector | str | os.PathLike[str],
    images: Image | Sequence[Image],
    *,
    min_score: float = 0.5,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
    batch_size: int = 8,
    progress: bool | None = None,
    value_range: ValueRange = None,
) -> Detections | list[Detections]:
    """Detects objects in images.

    The model is compiled once for all calls, as `predict` does it, also one that was compiled with
    `run_eagerly=True`. To step through its layers in a debugger, call the model itself.

    Args:
        model: a model of this package, for training or for inference; one of `load_detector`; or the path of
            a saved one (`.keras`) or of an exported one.
        images: one of

            * the path of an image,
            * an array (height, width, channels) uint8, RGB first,
            * a list of paths and arrays, whose sizes may differ,
            * the path of a folder, whose image files are read in the order of their names.
        min_score: minimum score of the detections that are returned.
        tiles: see `predict_dataset`.
        overlap: see `predict_dataset`.
        flip: see `predict_dataset`.
        batch_size: images per batch.
        progress: whether to show a progress bar; None: for 16 images or more.
        value_range: for images with more than 8 bits, which numbers become 0 and 255, see `read_image`. None:
            the range of the images that `train` has trained the model on. With a range, arrays may be of
            other types than uint8.

    Returns:
        `Detections` for one image, a list of `Detections` for a list or a folder.

    Raises:
        FileNotFoundError: for a path that does not exist, or a folder without images.
        ImageError: for a file that cannot be read as an image, or an array of another shape or type.
        ValueError: for an empty list, or a model that is not of this package or holds code.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f"detect: min_score must be between 0 and 1, got {min_score}")
    if isinstance(model, str | os.PathLike) and Path(model).suffix.lower() in IMAGE_SUFFIXES:
        raise ValueError(f"detect: {model} is an image; the model comes first: detect(model, images)")
    model = opened(model, "detect")
    look = checked_look("detect", tiles, overlap, flip)
    single = not isinstance(images, Sequence) or isinstance(images, str)
    single = single and not is_folder(images)
    sources = [images] if single else files_in(images) if is_folder(images) else list(images)
    if not sources:
        raise ValueError("detect: images must have at least one image, got an empty list")
    facts = facts_of(model)
    value_range = facts.value_range if value_range is None else value_range
    pixels = checked_pixels("detect", facts.channels, value_range)
    records = [image_record(source, i, pixels) for i, source in enumerate(sources)]
    dataset = DetectionDataset([str(i + 1) for i in range(facts.num_classes)], records, "detect")
    show = len(records) >= MIN_IMAGES_FOR_PROGRESS if progress is None else progress
    transform = resize_only(facts.image_size)
    size = min(batch_size, len(records)) if look.is_plain else batch_size
    workers = 0 if len(records) == 1 else None  # there is nothing to read ahead
    found = _predict(model, dataset, size, transform, show, workers, look, min_score)
    names = facts.class_names
    detections = [
        Detections.from_rows(
            rows[rows[:, 1] >= min_score], names, (r.height, r.width), given_source(source), pixels
        )
        for rows, r, source in zip(found, records, sources, strict=True)
    ]
    return detections[0] if single else detections


@checked(batch_size=BATCH_SIZE, workers=WORKERS)
def predict_dataset(
    model: keras.Model | ExportedDetector,
    dataset: DetectionDataset,
    batch_size: int = 8,
    *,
    transform: SampleTransform | Callable | None = None,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
    progress: bool = True,
    workers: int | None = None,
) -> list[np.ndarray]:
    """Runs a detector over a data set.

    Args:
        model: a model of this package, or one of `load_detector`. A model for training is converted with
            `to_inference` and its default options.
        dataset: a `DetectionDataset` with the model's classes. If their order differs, the returned class ids
            are those of the data set. Without a `value_range` of its own, its images are read with that of
            the images that `train` has trained the model on.
        batch_size: images per batch.
        transform: a `SampleTransform` that keeps whole images, or a function like it with an `image_size`.
            None: `resize_only` at the model's size.
        tiles: how pictures are also looked at in tiles, besides the whole picture. An int is the side of
            square tiles in pixels, for pictures that are larger; (rows, columns) is their number. None: only
            the whole picture. Small objects are found in tiles, of which a picture has 10,000 at most.
        overlap: smallest overlap of two tiles, a share of their side, from 0 to 0.9. Objects that are not
            larger than the overlap are whole in some tile.
        flip: whether to look at all of it mirrored, too (test-time flip). What several views find is joined
            by non-max suppression within each class.
        progress: whether to show a progress bar.
        workers: see `DataGenerator`.

    Returns:
        A list with one (detections, 6) float32 array for each record. Its rows
        [class_id, score, xmin, ymin, xmax, ymax] are sorted by descending score. Boxes are in pixels of the
        original image (continuous) and clipped to it.

    Raises:
        ImageError: for an image that cannot be read; the message names it.
        ValueError: if the model and the data set have different classes or channels, or if the model and the
            transform have different image sizes.
    """
    facts = facts_of(model)
    look = checked_look("predict_dataset", tiles, overlap, flip)
    aligned = _with_pixels_of(facts, with_classes_of(facts, dataset, "predict_dataset"))
    size = facts.image_size
    transform = transform or resize_only(size)
    if (made := getattr(transform, "image_size", None)) != size:
        raise ValueError(f"predict_dataset: the transform makes {made}, the model takes {size}")
    found = _predict(model, aligned, batch_size, transform, progress, workers, look)
    if aligned.class_names != dataset.class_names:
        ids = np.array([0, *(dataset.class_names.index(name) + 1 for name in aligned.class_names)])
        for rows in found:
            rows[:, 0] = ids[rows[:, 0].astype(int)]
    return found


def with_classes_of(facts: Facts, dataset: DetectionDataset, owner: str) -> DetectionDataset:
    """The data set with its classes in the order of a model.

    Args:
        facts: what is known about the model.
        dataset: the `DetectionDataset`.
        owner: name of the calling function, for messages.

    Raises:
        ValueError: if they have different classes.
    """
    if facts.num_classes != dataset.num_classes:
        raise ValueError(
            f"{owner}: the model has {facts.num_classes} classes, the data set "
            f"{dataset.num_classes} ({', '.join(dataset.class_names)})"
        )
    return align_classes(dataset, facts.class_names, owner)


def _with_pixels_of(facts, dataset):
    """The data set as the model must see it. A data set with a range of its own keeps it."""
    channels, value_range = facts.channels, facts.value_range
    if dataset.pixels.channels != channels:
        raise ValueError(
            f"predict_dataset: the model takes {channels} channels, the images are read with "
            f"{dataset.pixels.channels}; use dataset.with_pixels(channels={channels})"
        )
    if value_range is None or any(record.pixels.value_range is not None for record in dataset):
        if value_range is not None and dataset.pixels.value_range != value_range:
            warnings.warn(
                f"predict_dataset: the model was trained on images read with value_range={value_range}, "
                f"those of {dataset.name} are read with another one",
                stacklevel=4,
            )
        return dataset
    return dataset.with_pixels(channels=channels, value_range=value_range)


def _predict(model, dataset, batch_size, transform, progress, workers, look, min_score=0.0):
    """Detections in pixels for each image of a data set."""
    viewer = ViewDetector(model, look, transform, batch_size, min_score)
    ahead = TILED_AHEAD if look.tiles else MAX_QUEUED * batch_size
    threads = THREADS if workers is None else workers
    found = []
    with (
        tqdm(total=len(dataset), desc="predict", unit=" images", disable=not progress, leave=False) as bar,
        closing(read_ahead(dataset, viewer.prepare, ahead, threads=threads)) as pictures,
    ):
        for picture in viewer.run(pictures):
            found.append(joined_rows(picture))
            bar.update()
    return found
