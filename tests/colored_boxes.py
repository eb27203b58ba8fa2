"""Images whose objects are filled rectangles of one color each, so the pixels show where the boxes are.

After any chain of transforms, the boxes must coincide with the rendered colors. This check does not use the
arithmetic of the transforms.
"""

import numpy as np

from multibox.data_generator import DetectionDataset, Record

BLACK = (0, 0, 0)
COLUMNS, ROWS = 3, 2  # each object has its own cell, so no object hides another


def colored_record(rng, size=(300, 200), first_label=1, image_id="colored"):
    """A `Record` of up to six objects. An object with label n has the color `color_of(n)`."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    boxes, labels = [], []
    for cell in rng.permutation(COLUMNS * ROWS)[: rng.integers(1, COLUMNS * ROWS, endpoint=True)]:
        cell_size = np.array([width / COLUMNS, height / ROWS])
        low = np.ceil(cell_size * (cell % COLUMNS, cell // COLUMNS) + rng.uniform(0.05, 0.3, 2) * cell_size)
        high = np.floor(low + cell_size * rng.uniform(0.3, 0.6, 2))
        labels.append(first_label + len(labels))
        boxes.append([*low, *high])
        left, top, right, bottom = boxes[-1] = [int(side) for side in boxes[-1]]
        image[top:bottom, left:right] = color_of(labels[-1])
    boxes, labels = np.array(boxes, np.float32), np.array(labels, np.int32)
    return Record(image_id, lambda: image, width, height, boxes, labels)


def colored_dataset(rng, sizes):
    """A `DetectionDataset` with one image for each (width, height). No two objects have the same color."""
    records = [colored_record(rng, size, 1 + 6 * i, f"colored-{i}") for i, size in enumerate(sizes)]
    return DetectionDataset(map(str, range(1, 6 * len(sizes) + 1)), records)


def color_of(label):
    """The color of a label up to 100. Two colors differ by at least 60 in some channel; none is black."""
    first, rest = divmod(int(label), 25)
    return (60 + 60 * (first % 4), 60 * (rest // 5), 60 * (rest % 5))


def magnification(view, image_size):
    """Number of output pixels that one pixel of the view's most enlarged picture covers, along one axis."""
    seen = view.size[::-1] if view.turns % 2 else view.size
    scales = [np.subtract(p.place[2:], p.place[:2]) / p.size for p in view.pictures]
    return np.max(scales) * np.max(image_size[::-1] / seen)


def assert_boxes_on_colors(image, view, tolerance):
    """Asserts that the color of each object fills its box and ends at the sides of the box.

    Args:
        image: (height, width, 3), rendered with nearest-neighbor interpolation on black.
        view: the `View` that was rendered.
        tolerance: maximum error of a side, in pixels of `image`.
    """
    for label, box in zip(view.labels, view.relative_boxes(), strict=True):
        mask = (image == color_of(label)).all(axis=-1)
        assert_box_on_mask(mask, box, tolerance)


def assert_box_on_mask(mask, box, tolerance):
    """Asserts that a relative box encloses the pixels of a mask (height, width), up to `tolerance` pixels."""
    box = box * np.tile(mask.shape[::-1], 2)
    inner = np.ceil(box + np.array([1, 1, -1, -1]) * tolerance + (0, 0, -1, -1)).astype(int)
    assert mask[_slices(inner)].all(), f"the object does not fill its box {box}"
    assert not _sides(mask, box, tolerance).any(), f"the object extends beyond its box {box}"


def _sides(mask, box, tolerance):
    """The pixels just outside the four sides of a box: two rows or columns, `tolerance` pixels away."""
    near = np.array([*np.floor(box[:2] - tolerance), *np.ceil(box[2:] + tolerance)]).astype(int)
    left, top, right, bottom = near
    middle_x, middle_y = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
    strips = [
        (left - 2, middle_y, left, middle_y + 1),
        (right, middle_y, right + 2, middle_y + 1),
        (middle_x, top - 2, middle_x + 1, top),
        (middle_x, bottom, middle_x + 1, bottom + 2),
    ]
    return np.concatenate([mask[_slices(strip)].ravel() for strip in strips])


def _slices(rect):
    left, top, right, bottom = np.maximum(rect, 0)
    return slice(top, bottom), slice(left, right)
