"""Anchors (the paper's "default boxes"), defined by one frozen `AnchorSpec`.

The spec determines the size of the prediction heads. `AnchorBoxes`, the ground-truth encoder and the decoder
read their anchors from it, and a saved model contains it. Liu et al., "SSD: Single Shot MultiBox Detector",
section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from ..arguments import check_bounds, checked
from ..boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from ..limits import NUM_ANCHORS, SIDE

VARIANCES = (0.1, 0.1, 0.2, 0.2)


@checked()
@dataclass(frozen=True)
class AnchorLevel:
    """The anchors of one feature map.

    Attributes:
        grid: (rows, columns) of the feature map.
        sides: (width, height) in pixels of each anchor of a cell, in the order of the head's channels.
        step: (vertical, horizontal) distance in pixels between the centers of neighboring cells. The first
            center lies half a step inside the image.
    """

    grid: tuple[int, int]
    sides: tuple[tuple[float, float], ...]
    step: tuple[float, float]

    @property
    def num_anchors(self) -> int:
        return self.grid[0] * self.grid[1] * len(self.sides)

    def cxcywh(self) -> np.ndarray:
        """Anchors in pixels, (rows * columns * sides, 4) float64: cell by cell, row by row."""
        (rows, columns), (step_y, step_x) = self.grid, self.step
        cx, cy = np.meshgrid(
            (np.arange(columns) + 0.5) * step_x, (np.arange(rows) + 0.5) * step_y
        )  # (rows, columns) each
        centers = np.stack([cx, cy], axis=-1)[:, :, None, :]  # (rows, columns, 1, 2)
        sides = np.array(self.sides)[None, None]  # (1, 1, sides, 2)
        shape = (*self.grid, len(self.sides), 2)
        pair = [np.broadcast_to(centers, shape), np.broadcast_to(sides, shape)]
        return np.concatenate(pair, axis=-1).reshape(-1, 4)


@checked()
@dataclass(frozen=True)
class AnchorSpec:
    """All anchors of a detector.

    Attributes:
        image_size: (height, width) in pixels of the model's input.
        levels: one `AnchorLevel` per feature map, from fine to coarse.
        variances: four divisors of the offsets (cx, cy, w, h).

    Raises:
        ValueError: for numbers that are not positive or not finite, sides of the image above 65,535 pixels,
            or more than five million anchors.
    """

    image_size: tuple[int, int]
    levels: tuple[AnchorLevel, ...]
    variances: tuple[float, float, float, float] = VARIANCES

    def __post_init__(self):
        object.__setattr__(self, "image_size", image_hw(self.image_size))
        if not self.levels:
            raise ValueError("AnchorSpec.levels: expected at least one level, got none")
        if not all(0 < variance < np.inf for variance in self.variances):
            raise ValueError(f"AnchorSpec.variances: expected four positive numbers, got {self.variances}")
        for i, level in enumerate(self.levels):
            numbers = [*level.grid, *level.step, *(s for pair in level.sides for s in pair)]
            if not level.sides or not all(np.isfinite(numbers)) or min(numbers) <= 0:
                raise ValueError(
                    f"AnchorSpec.levels[{i}]: grid, sides and step must be positive, got {level}"
                )
        check_bounds("AnchorSpec: the number of anchors of all levels", self.num_anchors, NUM_ANCHORS)

    def __repr__(self):
        height, width = self.image_size
        return f"<AnchorSpec: {height}x{width}, {len(self.levels)} levels, {self.num_anchors} anchors>"

    @classmethod
    @checked()
    def from_scales(
        cls,
        image_size: tuple[int, int],
        grids: Sequence[tuple[int, int]],
        scales: Sequence[float],
        aspect_ratios: Sequence[Sequence[float]],
        *,
        steps: Sequence[float | None] | None = None,
        clip_sides: bool = False,
        variances: tuple[float, float, float, float] = VARIANCES,
    ) -> AnchorSpec:
        """Builds the paper's anchors (section 2.2).

        Each cell of level k has, in this order:

        * a square of side s_k,
        * a square of side sqrt(s_k s_k+1),
        * for each aspect ratio r, a wide box (s_k sqrt(r), s_k / sqrt(r)) and a tall one with ratio 1 / r.

        Args:
            image_size: (height, width) in pixels.
            grids: (rows, columns) of each level.
            scales: s_k, relative to the shorter image side: one for each level, and one more.
            aspect_ratios: for each level the ratios above 1, such as (2, 3).
            steps: for each level the distance of the cell centers in pixels; None: cells are spread evenly.
            clip_sides: whether to limit widths and heights to those of the image, as torchvision does and
                Caffe does not.
            variances: see `AnchorSpec`.

        Raises:
            ValueError: if the numbers of grids, scales, aspect_ratios and steps do not fit together, or if a
                scale or a ratio is not a positive number.
        """
        _check_positive("scales", scales)
        for ratios in aspect_ratios:
            _check_positive("aspect_ratios", ratios)
        n = len(grids)
        steps = [None] * n if steps is None else steps
        if not len(scales) == n + 1 == len(aspect_ratios) + 1 == len(steps) + 1:
            raise ValueError(
                f"AnchorSpec.from_scales: for {n} grids expected {n + 1} scales, {n} aspect_ratios and "
                f"{n} steps; got {len(scales)}, {len(aspect_ratios)} and {len(steps)}"
            )
        height, width = image_hw(image_size)
        levels = []
        for grid, (s, s_next), ratios, step in zip(
            grids, pairwise(scales), aspect_ratios, steps, strict=True
        ):
            side, middle = s * min(image_size), np.sqrt(s * s_next) * min(image_size)
            pixels = [(side, side), (middle, middle)]
            for ratio in ratios:
                pixels.append((side * np.sqrt(ratio), side / np.sqrt(ratio)))
                pixels.append((side * np.sqrt(1 / ratio), side / np.sqrt(1 / ratio)))
            pixels = np.array(pixels)
            if clip_sides:
                pixels = np.minimum(pixels, (width, height))
            step_yx = (height / grid[0], width / grid[1]) if step is None else (float(step),) * 2
            levels.append(AnchorLevel(tuple(grid), tuple(map(tuple, pixels.tolist())), step_yx))
        return cls(tuple(image_size), tuple(levels), tuple(variances))

    @property
    def num_anchors(self) -> int:
        return sum(level.num_anchors for level in self.levels)

    @cached_property
    def cxcywh(self) -> np.ndarray:
        """(num_anchors, 4) float64, read-only: cx, cy, w, h relative to the image."""
        height, width = self.image_size
        pixels = np.concatenate([level.cxcywh() for level in self.levels])
        return _frozen(xyxy_to_cxcywh(cxcywh_to_xyxy(pixels) / (width, height, width, height)))

    @cached_property
    def xyxy(self) -> np.ndarray:
        """(num_anchors, 4) float64, read-only: xmin, ymin, xmax, ymax relative to the image, not clipped."""
        return _frozen(cxcywh_to_xyxy(self.cxcywh))

    def get_config(self) -> dict[str, Any]:
        """The spec as plain lists and numbers, for saved models."""
        return {
            "image_size": list(self.image_size),
            "levels": [
                {"grid": list(v.grid), "sides": [list(s) for s in v.sides], "step": list(v.step)}
                for v in self.levels
            ],
            "variances": list(self.variances),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> AnchorSpec:
        levels = tuple(
            AnchorLevel(tuple(v["grid"]), tuple(tuple(s) for s in v["sides"]), tuple(v["step"]))
            for v in config["levels"]
        )
        return cls(tuple(config["image_size"]), levels, tuple(config["variances"]))


def _check_positive(name, values):
    for value in values:
        if not 0 < value < np.inf:  # NaN neither
            raise ValueError(f"AnchorSpec.from_scales: {name} must be positive numbers, got {value}")


def image_hw(image_size: Sequence[int]) -> tuple[int, int]:
    """Returns `image_size` as a tuple (height, width), or raises ValueError."""
    if np.shape(image_size) != (2,):
        raise ValueError(f"image_size: expected (height, width), got {image_size}")
    for side in image_size:
        check_bounds(f"image_size: got {tuple(image_size)}, each side", side, SIDE)
    return tuple(map(int, image_size))


def as_spec(anchors: AnchorSpec | dict[str, Any]) -> AnchorSpec:
    """Returns `anchors` if it is an `AnchorSpec`, or builds the spec from a config (of a reloaded layer)."""
    if isinstance(anchors, AnchorSpec):
        return anchors
    if isinstance(anchors, dict):
        return AnchorSpec.from_config(anchors)
    raise TypeError(f"anchors: expected an AnchorSpec, got {type(anchors).__name__}")


def _frozen(array):
    # Column-major, because box math works on one coordinate of all anchors at a time.
    array = np.asfortranarray(array)
    array.flags.writeable = False
    return array
