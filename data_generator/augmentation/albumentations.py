"""Pipelines of albumentations (https://albumentations.ai) as transforms of views."""

from __future__ import annotations

import random
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ..pixels import Pixels
from ..record import Record
from .render import render
from .sample import MEAN_COLOR
from .view import View


@dataclass(frozen=True)
class Albumentations:
    """An albumentations pipeline as a callable `(view, rng) -> view`.

    The view is drawn at its own resolution, the pipeline changes pixels and boxes, and the result is a view
    of the new pixels. This costs one more decode and one more rendering of the whole image. All randomness
    of the pipeline comes from `rng`. Objects that the pipeline drops, for example by `min_visibility`, are
    dropped from the view.

    Attributes:
        pipeline: a list of transforms; or an `albumentations.Compose` (2.0 or later) with
            `bbox_params=BboxParams(format="pascal_voc", label_fields=["labels"])`, where the field may have
            any name. The label field holds the indices of the objects, not class ids. The pipeline must
            return uint8 images with the channels that it gets: leave out `Normalize` and `ToTensorV2`. Not
            all transforms take other images than RGB.
        max_side: longest side in pixels. Larger views are drawn at this size.
        fill: RGB of the area outside the pictures.

    Raises:
        ImportError: for a list, if albumentations is not installed.
        ValueError: for any other pipeline; in a call, if the pipeline does not return such images.
    """

    pipeline: Any
    max_side: int = 1024
    fill: tuple[int, int, int] = MEAN_COLOR

    def __post_init__(self):
        if isinstance(self.pipeline, (list, tuple)):
            object.__setattr__(self, "pipeline", _compose(list(self.pipeline)))
        _check(self.pipeline)

    def __call__(self, view: View, rng: np.random.Generator) -> View:
        # Threads share this object, and a pipeline holds its own random state.
        pipeline = deepcopy(self.pipeline)
        # `set_random_seed` would give each transform the same seed, and two flips would always coincide.
        pipeline.set_random_state(rng, random.Random(int(rng.integers(2**63))))
        image = self._draw(view)
        boxes = view.relative_boxes().astype(float) * np.tile(image.shape[1::-1], 2)
        (kept,) = np.nonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))  # albumentations rejects others
        fields = _box_params(pipeline).label_fields
        result = pipeline(image=image, bboxes=boxes[kept], **dict.fromkeys(fields, kept))
        return _view_of(result, np.asarray(result[fields[0]], int), view)

    def _draw(self, view):
        width, height = view.size[::-1] if view.turns % 2 else view.size
        scale = min(1.0, self.max_side / max(width, height))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        return render(view, size, cv2.INTER_LINEAR, self.fill)


def _compose(transforms):
    try:
        import albumentations
    except ImportError as error:
        raise ImportError(
            "Albumentations needs a package that is not installed: pip install albumentations"
        ) from error
    box_params = albumentations.BboxParams(format="pascal_voc", label_fields=["labels"])
    return albumentations.Compose(transforms, bbox_params=box_params)


def _box_params(pipeline):
    processor = getattr(pipeline, "processors", {}).get("bboxes")
    return processor and processor.params


def _check(pipeline):
    params = _box_params(pipeline)
    if params is None or params.format != "pascal_voc" or not params.label_fields:
        got = params and f"format={params.format!r}, label_fields={params.label_fields}"
        raise ValueError(
            "Albumentations: expected a list of transforms, or a Compose with "
            'bbox_params=BboxParams(format="pascal_voc", label_fields=["labels"]); got '
            f"{type(pipeline).__name__} with {got or 'no bbox_params'}"
        )


def _view_of(result, objects, view):
    """The view of a pipeline's result; `objects` (n,) are the indices of its boxes in the original view."""
    image = result["image"]
    if getattr(image, "dtype", None) != np.uint8 or image.shape[2:] != (view.channels,):
        what = f"{getattr(image, 'shape', type(image).__name__)} {getattr(image, 'dtype', '')}"
        raise ValueError(
            f"Albumentations: expected (rows, columns, {view.channels}) uint8 from the pipeline, got {what}; "
            "the model normalizes, so leave out Normalize, ToFloat and ToTensorV2"
        )
    height, width = image.shape[:2]
    boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    labels, difficult = view.labels[objects], view.difficult[objects]
    pixels = Pixels(view.channels)
    record = Record("", lambda: image, width, height, boxes, labels, difficult, pixels=pixels)
    return View.of_record(record)
