"""Records with pictures of one color, for the tests of writers."""

import cv2
import numpy as np

from multibox.data_generator import Record


def record(folder, name, image_id, boxes, labels, **flags):
    """A record of a new picture of 60x40 pixels; `flags` such as `difficult=[1, 0]`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((40, 60, 3), len(name), np.uint8))
    flags = {flag: np.array(value, bool) for flag, value in flags.items()}
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    return Record(image_id, str(path), 60, 40, boxes, np.array(labels, np.int32), **flags)


def records_of_three_boxes(folder, empty):
    """A picture with a box as large as it and two whose sides are fractions; and one without objects.

    Args:
        folder: folder of the pictures.
        empty: path of the picture without objects, relative to the folder. Its image id has no suffix.
    """
    boxes = [[0, 0, 60, 40], [10.1, 5, 20.7, 6.25], [1 / 3, 0.1, 59.9, 39.7]]
    return [
        record(folder, "a.jpg", "a", boxes, [2, 3, 1]),
        record(folder, empty, empty.rpartition(".")[0], [], []),
    ]
