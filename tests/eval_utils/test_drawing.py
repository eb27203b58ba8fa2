import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.drawing import draw_detections

BOX = np.array([[30, 40, 80, 90]], np.float32)


def found(boxes=BOX, names=("cat",), size=(120, 160), ids=(1,)):
    scores = np.full(len(boxes), 0.75, np.float32)
    return mb.Detections(boxes, scores, np.array(ids, np.int32), names, size, "a.jpg")


def test_the_outline_is_where_the_box_is_and_the_label_above_it():
    image = np.full((120, 160, 3), 100, np.uint8)
    drawn = draw_detections(image, found())
    assert drawn.shape == image.shape and drawn.dtype == np.uint8
    assert (image == 100).all()  # a copy
    changed = (drawn != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert rows[-1] == 90 and columns[0] == 30
    assert 20 < rows[0] < 30  # a label of about 14 pixels
    assert changed[41:90, 30].all() and changed[90, 30:81].all()
    assert not changed[42:89, 32:79].any()


def test_labels_and_lines_grow_with_the_picture():
    """Of a picture of 4000 pixels, shown at a tenth of its size, the label is as high as in a small one."""
    heights = []
    for side in (400, 4000):
        box = np.array([[0.2, 0.5, 0.8, 0.8]], np.float32) * side
        drawn = draw_detections(np.zeros((side, side, 3), np.uint8), found(box, size=(side, side)))
        rows = np.flatnonzero(drawn.any(axis=(1, 2)))
        heights.append((0.5 * side - rows[0]) / side)
    assert heights[0] == pytest.approx(heights[1], abs=0.01) and heights[0] > 0.02


@pytest.mark.parametrize("box", [(0, 0, 160, 120), (150, 0, 160, 3), (0, 119, 1, 120), (20, 20, 20, 20)])
def test_boxes_at_borders_and_without_area(box):
    image = np.zeros((120, 160, 3), np.uint8)
    assert draw_detections(image, found(np.array([box], np.float32))).any()


def test_gray_many_channels_and_names_of_other_scripts():
    for channels in (1, 3, 5):
        image = np.zeros((120, 160, channels), np.uint8)
        assert draw_detections(image, found(names=("Größe \u03b1 \u0416",))).shape == (120, 160, 3)
    assert draw_detections(np.zeros((1, 1, 3), np.uint8), found(BOX[:0], ids=())).shape == (1, 1, 3)
    assert draw_detections(image, found(names=None)).any()


def test_classes_have_the_colors_of_the_plots():
    image = np.zeros((120, 160, 3), np.uint8)
    first, second = (draw_detections(image, found(ids=(i,), names=None))[90, 50] for i in (1, 2))
    assert first.tolist() == [255, 148, 0] and second.tolist() != first.tolist()
