"""Overlapping tiles of large pictures: where they are, and how their detections are joined."""

from __future__ import annotations

import math

import numpy as np

from ..boxes import TINY, area, iou

Window = tuple[int, int, int, int]

# Of one picture, as a bound of memory; a side that is too small by mistake gives millions.
MAX_TILES = 10_000

# A box that ends within this share of the tile at an inner border is taken for a part of an object.
BORDER_SHARE = 0.02
# Such a part is dropped if more than this share of it lies in a whole box of its class.
PART_INSIDE = 0.5


def tile_windows(width: int, height: int, tiles: int | tuple[int, int], overlap: float) -> list[Window]:
    """The windows (xmin, ymin, xmax, ymax) of a picture: the whole picture, then its tiles row by row.

    Args:
        width: of the picture in pixels.
        height: of the picture in pixels.
        tiles: side of square tiles in pixels, or their number (rows, columns). A picture that is not larger
            than a tile has none.
        overlap: smallest overlap of neighbors, a share of their side.

    Raises:
        ValueError: for more than `MAX_TILES`.
    """
    if isinstance(tiles, int):
        tile_height = tile_width = tiles
    else:
        tile_height, tile_width = (
            math.ceil(length / (n - (n - 1) * overlap))
            for length, n in zip((height, width), tiles, strict=True)
        )
    whole = (0, 0, width, height)
    if width <= tile_width and height <= tile_height:
        return [whole]
    rows, columns = _starts(height, tile_height, overlap), _starts(width, tile_width, overlap)
    if len(rows) * len(columns) > MAX_TILES:
        raise ValueError(
            f"tiles of {tile_width}x{tile_height} pixels: a picture of {width}x{height} would have "
            f"{len(rows)} rows of {len(columns)}, and at most {MAX_TILES} are possible; use larger tiles, "
            "or (rows, columns)"
        )
    return [
        whole,
        *((x, y, min(x + tile_width, width), min(y + tile_height, height)) for y in rows for x in columns),
    ]


def _starts(length, size, overlap):
    if length <= size:
        return [0]
    count = math.ceil((length - overlap * size) / ((1 - overlap) * size))
    starts = (round(i * (length - size) / (count - 1)) for i in range(count))
    return list(dict.fromkeys(starts))  # tiles of a few pixels can meet


def join_windows(
    rows: list[np.ndarray], windows: list[Window], image_size: tuple[int, int], iou_threshold: float
) -> np.ndarray:
    """Joins the detections of all windows of a picture.

    Duplicates are removed by non-max suppression within each class. The parts of an object that a tile cuts
    rank after whole boxes, and are also dropped if they lie in one: their IoU with it is low.

    Args:
        rows: for each window (n, 6) [class_id, score, xmin, ymin, xmax, ymax] in pixels of the window.
        windows: see `tile_windows`.
        image_size: (height, width) of the picture.
        iou_threshold: a box is dropped if its IoU with a better one is above this.

    Returns:
        (n, 6) in pixels of the picture, by descending score.
    """
    parts = np.concatenate([_is_part(r, w, image_size) for r, w in zip(rows, windows, strict=True)])
    moved = [r + np.array([0, 0, w[0], w[1], w[0], w[1]]) for r, w in zip(rows, windows, strict=True)]
    found = np.concatenate(moved).astype(np.float32)
    order = np.lexsort((-found[:, 1], parts))
    kept = []
    for class_id in np.unique(found[:, 0]):
        mine = order[found[order, 0] == class_id]
        kept += _suppressed(mine, found[:, 2:], parts, iou_threshold)
    return found[sorted(kept, key=lambda i: (-found[i, 1], i))]


def _is_part(rows, window, image_size):
    """Which boxes end at a border of the window that is not one of the picture, (n,) bool."""
    height, width = image_size
    xmin, ymin, xmax, ymax = window
    near = BORDER_SHARE * np.array([xmax - xmin, ymax - ymin])
    inner_low = np.array([xmin > 0, ymin > 0])
    inner_high = np.array([xmax < width, ymax < height])
    low = (rows[:, 2:4] <= near) & inner_low
    high = (rows[:, 4:] >= (xmax - xmin, ymax - ymin) - near) & inner_high
    return (low | high).any(axis=1)


def _suppressed(order, boxes, parts, iou_threshold):
    """The indices that remain of those in `order`, the best first."""
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        overlap = iou(boxes[[best]], boxes[order])[0]
        inside = parts[order] & (_share_inside(boxes[order], boxes[best]) > PART_INSIDE)
        order = order[(overlap <= iou_threshold) & ~inside]
    return kept


def _share_inside(boxes, other):
    """(n,) share of the area of each box that lies in another box."""
    low, high = np.maximum(boxes[:, :2], other[:2]), np.minimum(boxes[:, 2:], other[2:])
    return np.prod(np.maximum(high - low, 0), axis=1) / np.maximum(area(boxes), TINY)
