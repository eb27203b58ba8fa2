"""The views of a picture that a detector looks at: the whole picture, tiles of it, and both mirrored."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import keras
import numpy as np

from ..data_generator import Record, SampleTransform
from ..limits import SIDE
from ..messages import printable
from .detectors import run_of, to_pixels
from .exported import ExportedDetector
from .tiles import Window, join_windows, tile_windows

# Two boxes of one class whose IoU is above this are one object, as in the decoders of the networks.
JOIN_IOU = 0.45
THREADS = min(8, os.cpu_count() or 1)
MAX_GRID = 64  # rows or columns of tiles
TILED_AHEAD = 2  # pictures that are read ahead; one with tiles fills many batches

Tiles = int | tuple[int, int] | None
_Item, _Made = TypeVar("_Item"), TypeVar("_Made")


class View(NamedTuple):
    """What the model sees at once."""

    window: Window
    mirrored: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels."""
        xmin, ymin, xmax, ymax = self.window
        return xmax - xmin, ymax - ymin


class Look(NamedTuple):
    """How pictures are looked at. See `predict_dataset` for the arguments."""

    tiles: Tiles = None
    overlap: float = 0.2
    flip: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether each picture is looked at once, as a whole."""
        return self.tiles is None and not self.flip

    def views(self, width: int, height: int) -> list[View]:
        """The views of a picture: the whole picture is the first."""
        windows = [(0, 0, width, height)]
        if self.tiles is not None:
            windows = tile_windows(width, height, self.tiles, self.overlap)
        sides = (False, True) if self.flip else (False,)
        return [View(window, mirrored) for mirrored in sides for window in windows]


def checked_look(owner: str, tiles: Tiles, overlap: float, flip: bool) -> Look:
    """The `Look` of these arguments, or a ValueError that begins with the owner's name."""
    if not 0 <= overlap <= 0.9:
        raise ValueError(f"{owner}: overlap must be between 0 and 0.9, got {overlap}")
    if tiles is None:
        return Look(None, overlap, flip)
    is_grid = isinstance(tiles, tuple | list)
    numbers, limit = (tiles, MAX_GRID) if is_grid else ((tiles,), SIDE[1])
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers)
    if not whole or len(numbers) != 1 + is_grid or not all(1 <= n <= limit for n in numbers):
        raise ValueError(
            f"{owner}: tiles must be the side of a tile in pixels, or (rows, columns) up to {MAX_GRID}, "
            f"got {tiles!r}"
        )
    return Look(tuple(map(int, tiles)) if is_grid else int(tiles), overlap, flip)


@dataclass(eq=False)
class Viewed:
    """A picture on its way through the model.

    Attributes:
        record: the picture.
        views: its views.
        inputs: for each view what the model gets.
        rows: for each view that went through the model, (max_detections, 6) relative detections.
        origin: whatever the caller wants to find again.
    """

    record: Record
    views: list[View]
    inputs: list[np.ndarray]
    rows: list[np.ndarray] = field(default_factory=list)
    origin: Any = None


class ViewDetector:
    """Runs a detector over the views of pictures, in batches that may begin and end inside a picture.

    Args:
        model: a model of this package, or an exported one.
        look: the `Look`.
        transform: makes the model's input of a `Record`; keeps whole images.
        batch_size: views per batch.
        min_score: lowest score that matters; the fewer detections, the faster.
    """

    def __init__(
        self,
        model: keras.Model | ExportedDetector,
        look: Look,
        transform: SampleTransform | Callable,
        batch_size: int,
        min_score: float = 0.0,
    ):
        self.detector = run_of(model)
        # In several views, a whole box of any score drops the parts of it that the others see.
        self.min_score = min_score if look.is_plain else 0.0
        # JAX and some runtimes compile for each size of a batch.
        self.fills_batches = isinstance(model, ExportedDetector) or keras.backend.backend() == "jax"
        self.look = look
        self.transform = transform
        self.batch_size = batch_size

    def prepare(self, record: Record, origin: Any = None) -> Viewed:
        """Reads a picture, and makes what the model gets of each view."""
        try:
            views = self.look.views(record.width, record.height)
        except ValueError as error:
            raise ValueError(f"{printable(record.image_id)}: {error}") from None
        rng = np.random.default_rng(0)
        if len(views) == 1:  # a JPEG is then decoded at a reduced scale
            return Viewed(record, views, [self.transform(record, rng)[0]], origin=origin)
        image = record.read()
        inputs = [self.transform(_view_record(image, view, record), rng)[0] for view in views]
        return Viewed(record, views, inputs, origin=origin)

    def run(self, pictures: Iterable[Viewed]) -> Iterator[Viewed]:
        """The pictures in order, with the rows of all their views."""
        pieces = ((picture, image) for picture in pictures for image in picture.inputs)
        while batch := list(islice(pieces, self.batch_size)):
            found = self._rows([image for _, image in batch])
            for (picture, _), rows in zip(batch, found, strict=True):
                picture.rows.append(rows)
                if len(picture.rows) == len(picture.views):
                    picture.inputs = []
                    yield picture

    def _rows(self, inputs):
        """(n, 6) relative detections of each input."""
        images = np.stack(inputs)
        missing = self.batch_size - len(inputs) if self.fills_batches else 0
        if missing:
            images = np.concatenate([images, np.repeat(images[:1], missing, axis=0)])
        return self.detector(images, self.min_score)[: len(inputs)]


def joined_rows(picture: Viewed, keep: Callable[[np.ndarray], np.ndarray] | None = None) -> np.ndarray:
    """The detections of all views of a picture as one list.

    Args:
        picture: with the rows of all its views.
        keep: chooses rows of each view before they are joined.

    Returns:
        (n, 6) in pixels of the picture, by descending score, at most as many as the model finds in one view.
    """
    rows = [to_pixels(r, *view.size) for r, view in zip(picture.rows, picture.views, strict=True)]
    if keep is not None:
        rows = [keep(r) for r in rows]
    if len(rows) == 1:
        return rows[0]
    for r, view in zip(rows, picture.views, strict=True):
        if view.mirrored:
            r[:, [2, 4]] = view.size[0] - r[:, [4, 2]]
    size = picture.record.height, picture.record.width
    joined = join_windows(rows, [view.window for view in picture.views], size, JOIN_IOU)
    return joined[: len(picture.rows[0])]


def read_ahead(
    items: Iterable[_Item],
    prepare: Callable[[_Item], _Made],
    ahead: int,
    *,
    threads: int = THREADS,
    waits: Callable[[_Item], bool] = lambda item: False,
) -> Iterator[_Made]:
    """What `prepare` makes of each item, in order, by threads that run ahead by a few items.

    Args:
        items: the items; taken one by one in the caller's thread.
        prepare: runs in a thread.
        ahead: how many items may be under way.
        threads: number of threads; 0: the caller's.
        waits: whether an item must be finished before the next one is taken.
    """
    if threads == 0:
        yield from map(prepare, items)
        return
    waiting = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="multibox")
    try:
        for item in items:
            waiting.append(pool.submit(prepare, item))
            if len(waiting) > ahead or waits(item):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _view_record(image, view, record):
    xmin, ymin, xmax, ymax = view.window
    crop = image[ymin:ymax, xmin:xmax]
    crop = np.ascontiguousarray(crop[:, ::-1]) if view.mirrored else crop
    boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    # The numbers are in 0..255 already.
    pixels = record.pixels._replace(value_range=None)
    return Record(record.image_id, lambda: crop, *view.size, boxes, labels, pixels=pixels)
