"""`predict_files`: runs a detector over pictures and videos of any number, one after the other."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from ..arguments import checked
from ..data_generator import ImageError, Record, SampleTransform, resize_only
from ..data_generator.pixels import checked_pixels
from ..limits import BATCH_SIZE, SIDE
from ..messages import did_you_mean
from ..models.detector import anchors_of, channels_of, class_names_of, model_of, value_range_of
from .detections import Detections
from .given_images import image_record
from .prediction import detector_of, to_pixels
from .sources import find_sources, is_video
from .tiles import Window, join_tiles, tile_windows
from .video import VideoReader

TILES_IOU = 0.45
WORKERS = min(8, os.cpu_count() or 1)


class Source(NamedTuple):
    """Where detections come from.

    Attributes:
        path: path of the picture or video, or the number of the camera.
        frame: number of the frame of a video, from 0; None for a picture.
        seconds: time of the frame from the start of the video; None for a picture.
        fps: frames per second of the video; None for a picture.
    """

    path: str | int
    frame: int | None = None
    seconds: float | None = None
    fps: float | None = None


def raise_error(error: Exception) -> None:
    """What happens by default to a picture that cannot be read."""
    raise error


@checked(batch_size=BATCH_SIZE, tiles=SIDE)
def predict_files(
    model: keras.Model | str | os.PathLike[str],
    sources: str | os.PathLike[str] | int | Sequence[str | os.PathLike[str] | int],
    *,
    min_score: float = 0.5,
    classes: Sequence[str] | None = None,
    tiles: int | None = None,
    overlap: float = 0.2,
    batch_size: int = 8,
    on_error: Callable[[Exception], object] = raise_error,
    progress: bool = True,
) -> Iterator[tuple[Source, Detections]]:
    """Detects objects in pictures and videos, with bounded memory: results come one by one, in order.

    Pictures are read ahead by threads while the model runs. `save_predictions` writes the results to files.

    Example:

    ```python
    for source, found in mb.predict_files(model, ["photos", "clip.mp4"]):
        print(source.path, source.frame, len(found))
    ```

    Args:
        model: a model of this package, or the path of a saved one (`.keras`).
        sources: one or several of: the path of a picture, a video, a folder of pictures or a text file that
            lists paths; a pattern such as "photos/*.jpg"; the number of a camera. See `find_sources`.
        min_score: minimum score of the detections.
        classes: names of the classes to find; None: all.
        tiles: side in pixels of the tiles in which larger pictures are looked at, besides the whole picture;
            None: only as a whole. About the size at which objects look as large as in training.
        overlap: smallest overlap of two tiles, a share of their side, from 0 to 0.9. Objects that are not
            larger than the overlap are whole in some tile.
        batch_size: pictures or tiles per batch. A camera has batches of one.
        on_error: called with the exception for a picture or video that cannot be read. If it returns, that
            one is left out. The default raises.
        progress: whether to show a progress bar.

    Returns:
        An iterator of pairs (`Source`, `Detections`). For a frame, `Detections.image` is its array.

    Raises:
        FileNotFoundError: for a path, a folder or a pattern without pictures.
        ImageError: (while iterating) for a picture that cannot be read, unless `on_error` takes it.
        ValueError: for an unknown class, an overlap or a score out of range, and as `find_sources`.
    """
    if not 0 <= min_score <= 1:
        raise ValueError(f"predict_files: min_score must be between 0 and 1, got {min_score}")
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"predict_files: overlap must be between 0 and 0.9, got {overlap}")
    model = model_of(model, "predict_files")
    single = isinstance(sources, str | os.PathLike | int)
    found = find_sources([sources] if single else sources)
    if not found:
        raise ValueError("predict_files: sources must have at least one, got an empty list")
    if any(map(is_video, found)) and channels_of(model) != 3:
        raise ValueError(f"predict_files: videos have 3 channels, the model takes {channels_of(model)}")
    ids = _class_ids(class_names_of(model), classes)
    run = _Run(model, min_score, ids, tiles, overlap, _batch_size(found, batch_size, tiles), on_error)
    return run.results(found, progress)


def _class_ids(names, classes):
    """Ids of the classes to find, or None for all."""
    if classes is None:
        return None
    if not classes:
        raise ValueError("predict_files: classes must have at least one name")
    known = [name for name in names or () if name is not None]
    if unknown := [name for name in classes if name not in known]:
        there = ", ".join(known) or "none: the model carries no class names"
        raise ValueError(
            f"predict_files: classes: the model has no class {unknown[0]!r}"
            f"{did_you_mean(unknown[0], known)}; there are {there}"
        )
    return np.array([names.index(name) + 1 for name in classes])


def _batch_size(sources, wanted, tiles):
    """Batches have one size, since the model is compiled for it: no larger than there are pictures."""
    if any(isinstance(source, int) for source in sources):
        return 1
    return wanted if tiles is not None or any(map(is_video, sources)) else min(wanted, len(sources))


@dataclass(eq=False)
class _Picture:
    """A picture or frame on its way through the model."""

    source: Source
    image: str | np.ndarray
    record: Record | None = None
    windows: list[Window] = field(default_factory=list)
    inputs: list[np.ndarray] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    error: Exception | None = None


@dataclass(eq=False)
class _Run:
    """One call of `predict_files`."""

    model: keras.Model
    min_score: float
    class_ids: np.ndarray | None
    tiles: int | None
    overlap: float
    batch_size: int
    on_error: Callable[[Exception], object]

    def __post_init__(self):
        self.detector = detector_of(self.model)
        self.names = class_names_of(self.model)
        self.pixels = checked_pixels("predict_files", channels_of(self.model), value_range_of(self.model))
        self.transform: SampleTransform = resize_only(anchors_of(self.model).image_size)

    def results(self, sources, progress):
        bar = tqdm(desc="predict", unit=" images", disable=not progress, leave=False)
        bar.total = sum(1 for source in sources if not is_video(source))
        with bar, closing(self._prepared(self._pictures(sources, bar))) as prepared:
            readable = self._readable(prepared, bar)
            pieces = ((picture, image) for picture in readable for image in picture.inputs)
            while batch := list(islice(pieces, self.batch_size)):
                found = self._rows([image for _, image in batch])
                for (picture, _), rows in zip(batch, found, strict=True):
                    picture.rows.append(rows)
                    if len(picture.rows) == len(picture.inputs):
                        bar.update()
                        yield picture.source, self._detections(picture)

    def _pictures(self, sources, bar):
        """All pictures and frames, none of them prepared."""
        for source in sources:
            if is_video(source):
                yield from self._frames(source, bar)
            else:
                yield _Picture(Source(source), source)

    def _frames(self, path, bar):
        try:
            with closing(VideoReader(path)) as reader:
                bar.total = None if None in (bar.total, reader.count) else bar.total + reader.count
                for number, frame in enumerate(reader):
                    yield _Picture(Source(path, number, number / reader.fps, reader.fps), frame)
        except (OSError, ValueError) as error:
            yield _Picture(Source(path), "", error=error)

    def _prepared(self, pictures: Iterable[_Picture]) -> Iterator[_Picture]:
        """The pictures in order, read and resized by threads that run ahead by a few of them."""
        # A picture with tiles fills many batches.
        ahead = 2 if self.tiles else 2 * max(self.batch_size, WORKERS)
        waiting = deque()
        pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="multibox")
        try:
            for picture in pictures:
                waiting.append(pool.submit(self._prepare, picture))
                if len(waiting) > ahead or isinstance(picture.source.path, int):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _prepare(self, picture):
        if picture.error is None:
            try:
                record = image_record(picture.image, 0, self.pixels)
                picture.record = record
                picture.windows = [(0, 0, record.width, record.height)]
                if self.tiles is not None:
                    picture.windows = tile_windows(record.width, record.height, self.tiles, self.overlap)
                picture.inputs = self._inputs(record, picture.windows)
            except (ImageError, OSError, ValueError) as error:
                picture.error = error
        return picture

    def _inputs(self, record, windows):
        """What the model sees of each window."""
        rng = np.random.default_rng(0)
        if len(windows) == 1:  # a JPEG is then decoded at a reduced scale
            return [self.transform(record, rng)[0]]
        image = record.read()
        return [self.transform(_window_record(image, w, record), rng)[0] for w in windows]

    def _readable(self, prepared, bar):
        for picture in prepared:
            if picture.error is None:
                yield picture
            else:
                bar.update()
                self.on_error(picture.error)

    def _rows(self, inputs):
        """(n, 6) relative detections of each input; the batch is filled up to its full size."""
        images = np.stack(inputs)
        missing = self.batch_size - len(inputs)
        if missing:
            images = np.concatenate([images, np.repeat(images[:1], missing, axis=0)])
        return np.asarray(self.detector.predict_on_batch(images))[: len(inputs)]

    def _detections(self, picture):
        rows = [
            self._wanted(to_pixels(r, w[2] - w[0], w[3] - w[1]))
            for r, w in zip(picture.rows, picture.windows, strict=True)
        ]
        size = picture.record.height, picture.record.width
        joined = rows[0] if len(rows) == 1 else join_tiles(rows, picture.windows, size, TILES_IOU)
        return Detections.from_rows(joined, self.names, size, picture.image, self.pixels)

    def _wanted(self, rows):
        rows = rows[rows[:, 1] >= self.min_score]
        return rows if self.class_ids is None else rows[np.isin(rows[:, 0], self.class_ids)]


def _window_record(image, window, record):
    xmin, ymin, xmax, ymax = window
    crop = image[ymin:ymax, xmin:xmax]
    boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    # The numbers are in 0..255 already.
    pixels = record.pixels._replace(value_range=None)
    return Record("", lambda: crop, xmax - xmin, ymax - ymin, boxes, labels, pixels=pixels)
