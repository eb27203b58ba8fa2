"""All objects of a data set as arrays, as training sees them."""

from dataclasses import dataclass

import numpy as np

from ..data_generator.cleaning import BoxCleaner


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects that are trained on: boxes clipped, bad ones and crowd regions left out.

    Attributes:
        items: list of `CheckedImage`.
        image: (objects,) index into `items`, ascending.
        index: (objects,) which object of its annotation.
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
        """(objects,) area relative to that of the image."""
        return self.sides.prod(axis=1) / self.sizes.prod(axis=1)

    def sides_at(self, size):
        """(objects, 2) width and height when the whole image is stretched to `size` (width, height)."""
        return self.sides / self.sizes * size

    @property
    def splits(self):
        """(objects,) names of the splits."""
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
    """`Objects` of a list of `CheckedImage`. Images of unknown size are left out, as they cannot be used."""
    clean, columns = BoxCleaner(), []
    for i, item in enumerate(items):
        if item.size is None:
            continue
        a = item.annotation
        boxes, keep = clean(a.image_id, item.boxes, *item.size)
        boxes, index = boxes[~a.crowd[keep]], np.flatnonzero(keep & ~a.crowd)
        names = np.array(a.names, object)[index]
        columns.append((np.full(len(index), i), index, names, boxes, np.tile(item.size, (len(index), 1))))
    empty = (np.zeros(0, int), np.zeros(0, int), np.zeros(0, object), np.zeros((0, 4)), np.zeros((0, 2)))
    return Objects(items, *(np.concatenate(values) for values in zip(empty, *columns, strict=True)))
