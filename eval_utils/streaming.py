"""`predict_files`: runs a detector over pictures and videos of any number, one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import NamedTuple

import keras
import numpy as np
from tqdm import tqdm

from ..arguments import checked
from ..data_generator import ImageError, resize_only
from ..data_generator.pixels import checked_pixels
from ..limits import BATCH_SIZE
from ..messages import did_you_mean
from .detections import Detections
from .detectors import facts_of, opened
from .exported import ExportedDetector
from .given_images import image_record
from .sources import find_sources, is_video
from .video import VideoReader
from .views import THREADS, TILED_AHEAD, Tiles, ViewDetector, checked_look, joined_rows, read_ahead


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


@checked(batch_size=BATCH_SIZE)
def predict_files(
    model: keras.Model | ExportedDetector | str | os.PathLike[str],
    sources: str | os.PathLike[str] | int | Sequence[str | os.PathLike[str] | int],
    *,
    min_score: float = 0.5,
    classes: Sequence[str] | None = None,
    tiles: Tiles = None,
    overlap: float = 0.2,
    flip: bool = False,
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
        model: a model of this package, one of `load_detector`, or the path of a saved one (`.keras`) or of
            an exported one.
        sources: one or several of: the path of a picture, a video, a folder of pictures or a text file that
            lists paths; a pattern such as "photos/*.jpg"; the number of a camera. See `find_sources`.
        min_score: minimum score of the detections.
        classes: names of the classes to find; None: all.
        tiles: see `predict_dataset`.
        overlap: see `predict_dataset`.
        flip: see `predict_dataset`.
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
    look = checked_look("predict_files", tiles, overlap, flip)
    model = opened(model, "predict_files")
    facts = facts_of(model)
    single = isinstance(sources, str | os.PathLike | int)
    found = find_sources([sources] if single else sources)
    if not found:
        raise ValueError("predict_files: sources must have at least one, got an empty list")
    if any(map(is_video, found)) and facts.channels != 3:
        raise ValueError(f"predict_files: videos have 3 channels, the model takes {facts.channels}")
    ids = _class_ids(facts.class_names, classes)
    run = _Run(model, min_score, ids, look, _batch_size(found, batch_size, look), on_error)
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


def _batch_size(sources, wanted, look):
    """Batches have one size, since the model is compiled for it: no larger than there are pictures."""
    if any(isinstance(source, int) for source in sources):
        return 1
    if look.tiles is not None or any(map(is_video, sources)):
        return wanted
    return min(wanted, (1 + look.flip) * len(sources))


class _Picture(NamedTuple):
    """A picture or frame before it goes through the model."""

    source: Source
    image: str | np.ndarray
    error: Exception | None = None


class _Run:
    """One call of `predict_files`."""

    def __init__(self, model, min_score, class_ids, look, batch_size, on_error):
        self.min_score = min_score
        self.class_ids = class_ids
        self.on_error = on_error
        facts = facts_of(model)
        self.names = facts.class_names
        self.pixels = checked_pixels("predict_files", facts.channels, facts.value_range)
        self.viewer = ViewDetector(model, look, resize_only(facts.image_size), batch_size, min_score)
        self.ahead = TILED_AHEAD if look.tiles else 2 * max(batch_size, THREADS)

    def results(self, sources, progress):
        bar = tqdm(desc="predict", unit=" images", disable=not progress, leave=False)
        bar.total = sum(1 for source in sources if not is_video(source))
        prepared = read_ahead(self._pictures(sources, bar), self._prepared, self.ahead, waits=_is_live)
        with bar, closing(prepared):
            for viewed in self.viewer.run(self._readable(prepared, bar)):
                bar.update()
                yield viewed.origin.source, self._detections(viewed)

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
            yield _Picture(Source(path), "", error)

    def _prepared(self, picture):
        """The `Viewed` picture, or why it cannot be read."""
        if picture.error is not None:
            return picture.error
        try:
            return self.viewer.prepare(image_record(picture.image, 0, self.pixels), picture)
        except (ImageError, OSError, ValueError) as error:
            return error

    def _readable(self, prepared, bar):
        for picture in prepared:
            if isinstance(picture, Exception):
                bar.update()
                self.on_error(picture)
            else:
                yield picture

    def _detections(self, viewed):
        size = viewed.record.height, viewed.record.width
        rows = joined_rows(viewed, self._wanted)
        rows = rows[rows[:, 1] >= self.min_score]
        return Detections.from_rows(rows, self.names, size, viewed.origin.image, self.pixels)

    def _wanted(self, rows):
        return rows if self.class_ids is None else rows[np.isin(rows[:, 0], self.class_ids)]


def _is_live(picture):
    """Whether a picture comes from a camera, which must not run ahead."""
    return isinstance(picture.source.path, int)
