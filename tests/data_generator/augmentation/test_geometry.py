from dataclasses import replace

import cv2
import numpy as np
import pytest
from colored_boxes import BLACK, assert_boxes_on_colors, colored_record, magnification
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.boxes import iou
from multibox.data_generator.augmentation.geometry import (
    Expand,
    Flip,
    IoUCrop,
    OneOf,
    Patch,
    RightAngleTurn,
    Scale,
    Translate,
    VerticalFlip,
    cut,
)
from multibox.data_generator.augmentation.render import render
from multibox.data_generator.augmentation.sample import SampleTransform
from multibox.data_generator.augmentation.view import View
from multibox.data_generator.record import Record

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
    centers = (BOXES[:, :2] + BOXES[:, 2:]) / 2
    inside = ((centers >= patch[:2]) & (centers < patch[2:])).all(axis=1)
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


GEOMETRY = {
    "vertical flip": (VerticalFlip(1.0),),
    "turn": (RightAngleTurn(probability=1.0),),
    "translate": (Translate(probability=1.0),),
    "scale": (Scale(probability=1.0),),
    "patch": (Patch(),),
    "expand and crop": (Expand(), IoUCrop(), Flip()),
    "turned patch": (Flip(), VerticalFlip(), RightAngleTurn(probability=1.0), Patch()),
    "one of two": (OneOf(((Translate(), Scale((1, 2))), (Scale((0.5, 1)), Translate()))), Flip()),
    "everything": (
        RightAngleTurn(),
        Translate((0.0, 0.2)),
        VerticalFlip(),
        Scale((0.7, 1.4)),
        Flip(),
        IoUCrop(),
        RightAngleTurn(),
        Patch((0.8, 1.5)),
    ),
}


@pytest.mark.parametrize("image_size", [(160, 160), (120, 200), (210, 130)])
@pytest.mark.parametrize("chain", GEOMETRY.values(), ids=GEOMETRY)
@settings(deadline=None, max_examples=50)
@given(seed=SEEDS)
def test_boxes_are_where_their_pixels_are(chain, image_size, seed):
    rng = np.random.default_rng(seed)
    record = colored_record(rng, (300, 200) if rng.random() < 0.5 else (170, 260))
    transform = SampleTransform(image_size, chain, interpolations=(cv2.INTER_NEAREST,), fill=BLACK)
    image, out = transform(record, rng)
    # Half a pixel of rounding on the canvas, half a pixel of the source, and half a pixel of sampling.
    assert_boxes_on_colors(image, out, 1 + 0.5 * max(1.0, magnification(out, image_size)))


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ([VerticalFlip(1.0)], [0.1, 0.2, 0.3, 0.9]),
        ([RightAngleTurn((1,), 1.0)], [0.2, 0.1, 0.9, 0.3]),
        ([RightAngleTurn((2,), 1.0)], [0.7, 0.2, 0.9, 0.9]),
        ([RightAngleTurn((3,), 1.0)], [0.1, 0.7, 0.8, 0.9]),
        ([RightAngleTurn((0,), 1.0)], [0.1, 0.1, 0.3, 0.8]),
        ([RightAngleTurn((1,), 1.0), Flip(1.0)], [0.1, 0.1, 0.8, 0.3]),
        ([RightAngleTurn((1,), 1.0), VerticalFlip(1.0)], [0.2, 0.7, 0.9, 0.9]),
        ([Flip(1.0), RightAngleTurn((1,), 1.0)], [0.2, 0.7, 0.9, 0.9]),
    ],
    ids=str,
)
def test_orientation_by_hand(chain, expected):
    out = view(np.array([[20, 10, 60, 80]], np.float32))
    for transform in chain:
        out = transform(out, np.random.default_rng(0))
    np.testing.assert_allclose(out.relative_boxes(), [expected], atol=1e-6)


def test_scale_by_hand():
    rng = np.random.default_rng(0)
    larger = Scale((2.0, 2.0), 1.0)(view(), rng)
    assert larger.rect.tolist() == [50, 25, 150, 75]
    assert larger.labels.tolist() == [2]  # centers (35, 50), (140, 50), (174.5, 79.5)
    np.testing.assert_allclose(larger.relative_boxes(), [[0.5, 0, 1, 1]])
    smaller = Scale((0.5, 0.5), 1.0)(view(), rng)
    assert smaller.rect.tolist() == [-100, -50, 300, 150]
    np.testing.assert_allclose(smaller.relative_boxes()[0], [110 / 400, 70 / 200, 160 / 400, 130 / 200])


@given(SEEDS)
def test_translate_stays_within_its_bounds(seed):
    out = Translate((0.1, 0.3), 1.0)(view(), np.random.default_rng(seed))
    shift = out.rect - (0, 0, 200, 100)
    np.testing.assert_array_equal(shift[:2], shift[2:])
    assert 20 <= abs(shift[0]) <= 60
    assert 10 <= abs(shift[1]) <= 30


@given(SEEDS)
def test_a_patch_overlaps_as_far_as_it_can(seed):
    start = view()
    out = Patch()(start, np.random.default_rng(seed))
    if out is start:
        return
    for low, high, side in zip(out.rect[:2], out.rect[2:], (200, 100), strict=True):
        inside, around = low >= 0 and high <= side, low <= 0 and high >= side
        assert inside or around
    width, height = out.size
    assert 59 <= width <= 401
    assert (width + 1) / (height - 1) >= 0.5
    assert (width - 1) / (height + 1) <= 2


@pytest.mark.parametrize("turns", range(4))
def test_the_shape_of_a_patch_is_the_shape_seen(turns):
    patch = Patch((0.5, 0.5), (3.0, 3.0), trials=20)
    out = patch(view().turned(turns), np.random.default_rng(0))
    # Half the width that is seen, and a third of that as height; in the scene the sides are swapped.
    assert out.size.tolist() == ([17, 50] if turns % 2 else [100, 33])


def test_orientations_are_equally_likely():
    turn = RightAngleTurn(probability=0.75)
    turns = [turn(view(), np.random.default_rng(seed)).turns for seed in range(2000)]
    np.testing.assert_allclose(np.bincount(turns) / 2000, 0.25, atol=0.04)


def test_factors_and_shifts_are_evenly_drawn():
    def quartiles(values):
        return np.quantile(values, (0.25, 0.5, 0.75))

    empty = view(np.zeros((0, 4), np.float32))  # nothing to lose, no trials
    zoomed = [Scale(probability=1.0)(empty, np.random.default_rng(seed)).size[0] for seed in range(2000)]
    np.testing.assert_allclose(quartiles(200 / np.array(zoomed)), (0.875, 1.25, 1.625), atol=0.06)
    moved = [Translate(probability=1.0)(empty, np.random.default_rng(seed)).rect for seed in range(2000)]
    shifts = np.array(moved)[:, :2] / (200, 100)
    for axis in shifts.T:
        np.testing.assert_allclose(quartiles(np.abs(axis)), (0.1475, 0.265, 0.3825), atol=0.02)
        assert (axis > 0).mean() == pytest.approx(0.5, abs=0.04)
    assert (shifts.prod(axis=1) > 0).mean() == pytest.approx(0.5, abs=0.04)  # one by one


def test_chains_are_equally_likely():
    choice = OneOf(((Flip(1.0),), (), (Flip(1.0), VerticalFlip(1.0))))
    outs = [choice(view(), np.random.default_rng(seed)) for seed in range(900)]
    kinds = [(out.flipped, out.turns) for out in outs]
    for kind in [(True, 0), (False, 0), (False, 2)]:
        assert kinds.count(kind) / 900 == pytest.approx(1 / 3, abs=0.05)


CORNER = np.array([[0, 0, 20, 10]], np.float32)


@pytest.mark.parametrize("trials", [1, 3])
def test_no_view_loses_all_its_objects(trials):
    # A half of the view in each direction: the object in the corner stays for one of the four shifts.
    start, translate = view(CORNER), Translate((0.5, 0.5), 1.0, trials)
    outs = [translate(start, np.random.default_rng(seed)) for seed in range(1000)]
    assert all(len(out.boxes) == 1 for out in outs)
    assert np.mean([out is start for out in outs]) == pytest.approx(0.75**trials, abs=0.05)


@pytest.mark.parametrize("transform", [Scale((3.0, 3.0), 1.0), Patch((0.1, 0.1), (1.0, 1.0), trials=0)])
def test_a_view_that_would_be_empty_is_kept(transform):
    start = view(CORNER)
    assert transform(start, np.random.default_rng(0)) is start


@pytest.mark.parametrize("transform", [Translate(probability=1.0), Scale(probability=1.0), Patch()])
def test_views_without_objects_move_as_well(transform):
    out = transform(view(np.zeros((0, 4), np.float32)), np.random.default_rng(0))
    assert out.rect.tolist() != [0, 0, 200, 100]
    assert out.relative_boxes().shape == (0, 4)


@pytest.mark.parametrize("first", [Translate((0.4, 0.4), 1.0), Scale((1.9, 1.9), 1.0), IoUCrop((0.3,), 0.3)])
def test_what_has_left_does_not_come_back(first):
    """A view that is narrowed and then widened shows the fill there, not objects without boxes."""
    white = np.full((100, 200, 3), 255, np.uint8)
    rng = np.random.default_rng(4)
    start = View.of_record(Record("white", lambda: white, 200, 100, BOXES, np.array([1, 2, 3])))
    narrow = first(start, rng)
    assert narrow.rect.tolist() != [0, 0, 200, 100]
    wide = Scale((0.25, 0.25), 1.0)(narrow, rng)
    drawn = render(wide, tuple(wide.size[::-1].astype(int)), cv2.INTER_NEAREST, BLACK)
    low, high = np.maximum(narrow.rect[:2], 0), np.minimum(narrow.rect[2:], (200, 100))
    assert (drawn[..., 0] == 255).sum() == (high - low).prod()
    boxes = wide.boxes
    assert (boxes[:, :2] >= low).all()
    assert (boxes[:, 2:] <= high).all()
    assert len(boxes) == len(narrow.boxes)


def test_cut_by_hand():
    out = cut(view(), np.array([40.0, -10, 160, 90]))
    # The center of the first box, x = 35, is outside; so is that of the third, x = 174.5.
    assert out.labels.tolist() == [2]
    assert out.boxes.tolist() == [[100, 5, 160, 90]]
    assert out.rect.tolist() == [40, -10, 160, 90]
    assert out.pictures[0].window == (40, 0, 160, 90)
    assert out.pictures[0].place == (0, 0, 200, 100)


@pytest.mark.parametrize(
    "transform", [VerticalFlip(), RightAngleTurn(), Translate(), Scale()], ids=lambda t: type(t).__name__
)
def test_new_ones_have_probability_one_half(transform):
    start = view()
    share = np.mean([transform(start, np.random.default_rng(s)) is not start for s in range(400)])
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("chain", list(GEOMETRY.values())[1:], ids=list(GEOMETRY)[1:])
def test_the_same_seed_gives_the_same_view(chain):
    def draw(seed):
        out, rng = view(), np.random.default_rng(seed)
        for transform in chain:
            out = transform(out, rng)
        return [*out.rect, *out.relative_boxes().ravel(), out.flipped, out.turns]

    assert draw(5) == draw(5)
    assert len({tuple(draw(seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Translate((0.5, 0.1)), r"Translate.bounds: expected \(least, largest\), at least 0, got"),
        (lambda: Translate((-0.5, 0.1)), "Translate.bounds"),
        (lambda: Scale((0, 2)), r"Scale.factors: expected \(least, largest\), positive, got \(0, 2\)"),
        (lambda: Patch((2, 1)), "Patch.scales"),
        (lambda: Patch(aspect_ratios=(0, 1)), "Patch.aspect_ratios"),
    ],
)
def test_impossible_bounds(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_cut_goes_by_what_is_seen():
    # Of a box that reaches out of the view only the part within counts: its center is at x = 80, not 95.
    box = np.array([[60, 0, 130, 50]], np.float32)
    narrow = replace(view(box), rect=np.array([0.0, 0, 100, 100]))
    assert cut(narrow, np.array([0.0, 0, 90, 100])).boxes.tolist() == [[60, 0, 90, 50]]
    assert len(cut(narrow, np.array([0.0, 0, 79, 100])).boxes) == 0


def test_nothing_is_left_of_a_view_that_is_moved_beside_its_picture():
    out = cut(cut(view(), np.array([300.0, 0, 400, 100])), np.array([0.0, 0, 200, 100]))
    assert out.pictures == ()
    assert out.relative_boxes().shape == (0, 4)
    assert (render(out, (30, 60), cv2.INTER_LINEAR, (7, 8, 9)) == (7, 8, 9)).all()
