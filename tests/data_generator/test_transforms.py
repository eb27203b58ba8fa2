from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.boxes import iou
from multibox.data_generator.dataset import Record
from multibox.data_generator.transforms import Expand, Flip, IoUCrop
from multibox.data_generator.view import View

BOXES = np.array([[10, 20, 60, 80], [100, 5, 180, 95], [150, 60, 199, 99]], np.float32)


def view(boxes=BOXES):
    labels = np.arange(1, len(boxes) + 1)
    return View.of_record(Record("a", "a.jpg", 200, 100, boxes, labels))


SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_expand_holds_the_image_and_its_shape(seed):
    out = Expand(probability=1.0)(view(), np.random.default_rng(seed))
    assert (out.rect[:2] <= 0).all()
    assert (out.rect[2:] >= (200, 100)).all()
    ratio = out.size / (200, 100)
    assert (ratio <= 4).all()
    assert abs(ratio[0] - ratio[1]) < 0.02  # whole pixels
    assert out.boxes is BOXES


@settings(deadline=None)
@given(SEEDS)
def test_crop_keeps_who_is_in_it(seed):
    out = IoUCrop()(view(), np.random.default_rng(seed))
    patch, (width, height) = out.rect, out.size
    if width == 200 and height == 100:
        return
    assert (patch[:2] >= 0).all()
    assert (patch[2:] <= (200, 100)).all()
    assert 0.5 <= width / height <= 2
    assert width >= 59
    assert height >= 29
    centres = (BOXES[:, :2] + BOXES[:, 2:]) / 2
    inside = ((centres >= patch[:2]) & (centres < patch[2:])).all(axis=1)
    np.testing.assert_array_equal(out.labels, np.flatnonzero(inside) + 1)
    relative = out.relative_boxes()
    assert ((relative >= 0) & (relative <= 1)).all()
    assert iou(patch[None], BOXES).max() > 0


def test_crop_reaches_the_bound():
    crop = IoUCrop(min_ious=(0.7,))
    for seed in range(50):
        out = crop(view(), np.random.default_rng(seed))
        unchanged = out.rect.tolist() == [0, 0, 200, 100]
        assert unchanged or iou(out.rect[None], BOXES).max() > 0.7


def test_crop_without_objects_keeps_the_view():
    empty = view(np.zeros((0, 4), np.float32))
    assert IoUCrop()(empty, np.random.default_rng(0)) is empty


def test_crop_of_an_expanded_view():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        wide = Expand(probability=1.0)(view(), rng)
        out = IoUCrop()(wide, rng)
        assert (out.rect[:2] >= wide.rect[:2]).all()
        assert (out.rect[2:] <= wide.rect[2:]).all()


def test_relative_boxes_by_hand():
    one = view(np.array([[20, 10, 60, 80]], np.float32))
    np.testing.assert_allclose(one.relative_boxes(), [[0.1, 0.1, 0.3, 0.8]])
    flipped = Flip(probability=1.0)(one, np.random.default_rng(0))
    np.testing.assert_allclose(flipped.relative_boxes(), [[0.7, 0.1, 0.9, 0.8]])
    assert Flip(probability=1.0)(flipped, np.random.default_rng(0)).flipped is False


@pytest.mark.parametrize("transform", [Expand(), Flip()])
def test_probability_one_half(transform):
    start = view()
    share = np.mean([transform(start, np.random.default_rng(s)) is not start for s in range(400)])
    assert 0.4 < share < 0.6


def test_crop_keeps_flags_and_boxes_together():
    start = replace(view(), difficult=np.array([True, False, False]))
    for seed in range(50):
        out = IoUCrop()(start, np.random.default_rng(seed))
        np.testing.assert_array_equal(out.difficult, out.labels == 1)
        np.testing.assert_array_equal(out.boxes, BOXES[out.labels - 1])
