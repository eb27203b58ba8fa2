"""`ObjectTable`: the objects of many images in flat arrays, a tenth of the memory of Python objects."""

from __future__ import annotations

import numpy as np


class ObjectTable:
    """The objects of all images, sorted by image.

    Args:
        count: number of images.
        image: (objects,) index of the image of each object; objects with -1 are left out.
        kinds: (objects,) index of the class of each object.
        boxes: (objects, 4).
        flags: arrays (objects,) bool: difficult, truncated, crowd.
    """

    def __init__(self, count, image, kinds, boxes, flags):
        order = np.argsort(image, kind="stable")
        self.starts = np.searchsorted(image[order], np.arange(count + 1))
        self.kinds, self.boxes, self.flags = kinds[order], boxes[order], [flag[order] for flag in flags]

    def of_image(self, i):
        """(boxes, kinds, flags) of the objects of one image."""
        mine = slice(self.starts[i], self.starts[i + 1])
        return self.boxes[mine], self.kinds[mine], [flag[mine] for flag in self.flags]
