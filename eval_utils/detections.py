"""`Detections`: the objects that a detector found in one image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, overload

import numpy as np

from ..arguments import checked
from ..data_generator.images import read_image
from ..data_generator.pixels import RGB, Pixels
from ..messages import did_you_mean, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Detection(NamedTuple):
    """One detected object.

    Attributes:
        class_name: name of the class, or None if the model has no name for it.
        score: confidence, 0..1.
        box: (xmin, ymin, xmax, ymax) in pixels of the image.
        class_id: label of the class, from 1.
    """

    class_name: str | None
    score: float
    box: tuple[float, float, float, float]
    class_id: int


@checked()
@dataclass(frozen=True, eq=False)
class Detections:
    """The objects found in one image, by descending score.

    * `len(detections)` is the number of objects. Iteration yields `Detection` values.
    * `detections[0]` is the best `Detection`, `detections[:5]` are the five best as `Detections`.
    * `detections["dog"]` are the `Detections` of one class.

    Attributes:
        boxes: (n, 4) float32 xyxy in pixels of the image, clipped to it.
        scores: (n,) float32, 0..1.
        class_ids: (n,) int32, from 1.
        class_names: names of the model's classes in the order of its labels, or None.
        image_size: (height, width) in pixels.
        image: path or array of the image, as it was passed to `detect`.
        pixels: how the image is read to plot it.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    class_names: tuple[str | None, ...] | None
    image_size: tuple[int, int]
    image: str | np.ndarray = field(repr=False)
    pixels: Pixels = RGB

    @classmethod
    def from_rows(
        cls,
        rows: np.ndarray,
        class_names: tuple[str | None, ...] | None,
        image_size: tuple[int, int],
        image: str | np.ndarray,
        pixels: Pixels = RGB,
    ) -> Detections:
        """Creates `Detections` from rows (n, 6) [class_id, score, xmin, ymin, xmax, ymax] in pixels."""
        ids = rows[:, 0].astype(np.int32)
        return cls(rows[:, 2:], rows[:, 1], ids, class_names, image_size, image, pixels)

    @property
    def path(self) -> str | None:
        """Path of the image, or None for an array."""
        return self.image if isinstance(self.image, str) else None

    @property
    def rows(self) -> np.ndarray:
        """(n, 6) float32 [class_id, score, xmin, ymin, xmax, ymax], as `evaluate_voc` takes them."""
        return np.concatenate([self.class_ids[:, None], self.scores[:, None], self.boxes], axis=1, dtype="f4")

    def __len__(self) -> int:
        return len(self.scores)

    def __iter__(self) -> Iterator[Detection]:
        return map(self._detection, range(len(self)))

    @overload
    def __getitem__(self, key: int) -> Detection: ...

    @overload
    def __getitem__(self, key: str | slice) -> Detections: ...

    def __getitem__(self, key):
        if isinstance(key, str):
            return self._selected(self.class_ids == self._id_of(key))
        if isinstance(key, slice):
            return self._selected(key)
        return self._detection(range(len(self))[key])

    def __repr__(self):
        height, width = self.image_size
        names = Counter(self._name(i) or f"class {i}" for i in self.class_ids.tolist())
        counts = ", ".join(f"{count} {printable(name)}" for name, count in names.items())
        where = f"{printable(Path(self.image).name, limit=200)}, " if self.path else ""
        return f"<Detections: {where}{width}x{height} pixels, {counts or 'nothing found'}>"

    def to_dict(self) -> dict[str, Any]:
        """The detections as plain numbers and strings, ready for JSON."""
        height, width = self.image_size
        return {
            "image": self.path,
            "width": width,
            "height": height,
            "detections": [
                {"class_name": d.class_name, "class_id": d.class_id, "score": d.score, "box": list(d.box)}
                for d in self
            ],
        }

    def plot(self, **options: Any) -> Figure:
        """Draws the boxes on the image.

        Args:
            **options: more arguments of `plot_detections`. `min_score` is 0 by default: all boxes are drawn.

        Returns:
            The matplotlib figure.
        """
        from .plots import plot_detections

        source = self.image if isinstance(self.image, str) else partial(np.asarray, self.image)
        image = read_image(source, **self.pixels._asdict())
        return plot_detections(image, self, **{"min_score": 0.0, **options})

    def _detection(self, i):
        class_id = int(self.class_ids[i])
        return Detection(self._name(class_id), float(self.scores[i]), tuple(self.boxes[i].tolist()), class_id)

    def _name(self, class_id):
        known = self.class_names is not None and 1 <= class_id <= len(self.class_names)
        return self.class_names[class_id - 1] if known else None

    def _id_of(self, name):
        names = [n for n in self.class_names or () if n is not None]
        if name not in names:
            known = ", ".join(names) or "none: the model carries no class names"
            raise KeyError(f"no class {name!r}; there are {known}{did_you_mean(name, names)}")
        return self.class_names.index(name) + 1

    def _selected(self, which):
        return replace(
            self, boxes=self.boxes[which], scores=self.scores[which], class_ids=self.class_ids[which]
        )
