"""Images of noise with annotations, for the tests of `check_dataset`."""

import cv2
import numpy as np

from multibox.data_generator.formats.annotation import Annotation

SIZE = (60, 40)
BOX = (10, 5, 40, 35)  # clearly above 1 % of the image


def write_image(path, size=SIZE, seed=0):
    """Writes an image of random pixels. Its suffix decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)
    return path


def annotation(path, boxes=(BOX,), names=None, size=SIZE, image_id=None, crowd=None, relative=False):
    """An `Annotation` of the image at `path`. All objects are dogs unless `names` are given."""
    boxes = np.array(boxes, float).reshape(-1, 4)
    none = np.zeros(len(boxes), bool)
    return Annotation(
        image_id=path.stem if image_id is None else image_id,
        image=str(path),
        size=size,
        boxes=boxes,
        names=("dog",) * len(boxes) if names is None else tuple(names),
        difficult=none,
        truncated=none,
        crowd=none if crowd is None else np.array(crowd, bool),
        where=f"{path}.xml",
        relative=relative,
    )
