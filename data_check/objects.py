"""The objects of a data set as arrays, as training sees them, and their statistics."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..data_generator.formats.cleaning import BoxCleaner
from .boxes import SMALL_AREA

_QUANTILES = {"min": 0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1}
_SIZE_EDGES = np.linspace(0, 1, 21)  # of histograms
_RATIO_EDGES = 2.0 ** np.linspace(-4, 4, 33)
_SIZES_LISTED = 10


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects that are trained on: boxes are clipped; bad boxes and crowd regions are left out.

    Attributes:
        items: list of `CheckedImage`.
        image: (objects,) index into `items`, ascending.
        index: (objects,) position in the annotation of the image.
        names: (objects,) class names.
        boxes: (objects, 4) xyxy in pixels of the image.
        sizes: (objects, 2) width and height in pixels of the image.
    """

    items: list
    image: np.ndarray
    index: np.ndarray
    names: np.ndarray
    boxes: np.ndarray
    sizes: np.ndarray

    @property
    def relative(self):
        """(objects, 4) xyxy relative to the image, 0..1."""
        return self.boxes / np.tile(self.sizes, 2)

    @property
    def sides(self):
        """(objects, 2) width and height in pixels of the image."""
        return self.boxes[:, 2:] - self.boxes[:, :2]

    @property
    def area_share(self):
        """(objects,) area of the box / area of the image."""
        return self.sides.prod(axis=1) / self.sizes.prod(axis=1)

    def sides_at(self, size):
        """(objects, 2) width and height after the whole image is resized to `size` (width, height)."""
        return self.sides / self.sizes * size

    @property
    def splits(self):
        """(objects,) name of the split of each object."""
        return np.array([item.split for item in self.items], object)[self.image]

    def __len__(self):
        return len(self.image)

    def where(self, mask):
        """The `Objects` for which the (objects,) mask holds."""
        fields = (self.image, self.index, self.names, self.boxes, self.sizes)
        return Objects(self.items, *(values[mask] for values in fields))

    def per_image(self):
        """Yields a slice of the objects for each image that has any."""
        ends = np.flatnonzero(np.diff(self.image, append=-1)) + 1
        yield from map(slice, [0, *ends[:-1]], ends)


def collect_objects(items):
    """`Objects` of a list of `CheckedImage`, without images of unknown size, which cannot be used."""
    columns = []
    for i, item in enumerate(items):
        if item.size is None:
            continue
        a = item.annotation
        cleaned = BoxCleaner(item.boxes, item.size)
        index = np.flatnonzero(cleaned.keep & ~a.crowd)
        boxes = cleaned.boxes[index]
        names = np.array(a.names, object)[index]
        columns.append((np.full(len(index), i), index, names, boxes, np.tile(item.size, (len(index), 1))))
    empty = (np.zeros(0, int), np.zeros(0, int), np.zeros(0, object), np.zeros((0, 4)), np.zeros((0, 2)))
    return Objects(items, *(np.concatenate(values) for values in zip(empty, *columns, strict=True)))


def summarize(items, objects, splits):
    """Statistics as plain JSON.

    Args:
        items: list of `CheckedImage`.
        objects: `Objects` of them.
        splits: names of the splits.

    Returns:
        A dict:

        - "splits": numbers of images and of annotated objects.
        - "box_size": sqrt(box area / image area). This and the next two count the objects that are trained
          on, with quantiles and a histogram, whose first and last bin include everything beyond.
        - "aspect_ratio": width / height in pixels of the image.
        - "objects_per_image".
        - "share_below_1_percent": share of the boxes below 1 % of the area of their image.
        - "image_size": (width, height) in pixels.
        - "image_kinds".
    """
    area, sides = objects.area_share, objects.sides
    per_image = np.bincount(objects.image, minlength=len(items))
    return {
        "splits": {split: _split_counts([item for item in items if item.split == split]) for split in splits},
        "box_size": _distribution(np.sqrt(area), _SIZE_EDGES),
        "share_below_1_percent": float((area < SMALL_AREA).mean()) if len(area) else 0.0,
        "aspect_ratio": _distribution(sides[:, 0] / sides[:, 1], _RATIO_EDGES),
        "objects_per_image": _distribution(per_image, np.arange(per_image.max(initial=0) + 2) - 0.5),
        "image_size": _image_sizes(items),
        "image_kinds": dict(Counter(item.facts.kind for item in items if item.facts.stored).most_common()),
    }


def _split_counts(items):
    annotations = [item.annotation for item in items]
    crowd = int(sum(a.crowd.sum() for a in annotations))
    return {
        "images": len(items),
        "objects": sum(len(a.names) for a in annotations) - crowd,
        "difficult": int(sum(a.difficult.sum() for a in annotations)),
        "crowd": crowd,
        "images_without_objects": sum(not a.names for a in annotations),
    }


def _distribution(values, edges):
    if not len(values):
        return {"quantiles": {}, "histogram": {"edges": [], "counts": []}}
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    quantiles = np.quantile(values, list(_QUANTILES.values()))
    return {
        "mean": float(values.mean()),
        "quantiles": dict(zip(_QUANTILES, quantiles.tolist(), strict=True)),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _image_sizes(items):
    sizes = Counter(item.size for item in items if item.size)
    if not sizes:
        return {"distinct": 0, "most_common": []}
    all_sizes = np.array(list(sizes.elements()))
    return {
        "distinct": len(sizes),
        "min": all_sizes.min(axis=0).tolist(),
        "median": np.median(all_sizes, axis=0).tolist(),
        "max": all_sizes.max(axis=0).tolist(),
        "most_common": [[*size, count] for size, count in sizes.most_common(_SIZES_LISTED)],
    }
