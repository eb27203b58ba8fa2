import warnings

import numpy as np
import pytest

from multibox.data_generator.formats.cleaning import BoxCleaner

SIZE = (640, 480)


def clean(boxes, size=SIZE):
    return BoxCleaner(np.array(boxes, float).reshape(-1, 4), np.tile(size, (len(boxes), 1)))


def report(boxes, **options):
    clean(boxes).report("source", [f"img{i}" for i in range(len(boxes))], **options)


def test_treatment_and_counts():
    boxes = [
        [1, 2, 3, 4],  # good
        [5, 5, 5, 9],  # no width
        [9, 1, 2, 3],  # inverted
        [20, 1, 30, 3],  # right of the image
        [-5, -5, 0, 0],  # touches the corner only
        [-1, 0, 4, 9],  # partly outside
        [0, 0, 10, 8],  # the whole image
    ]
    cleaned = clean(boxes, (10, 8))
    np.testing.assert_array_equal(cleaned.keep, [True, False, False, False, False, True, True])
    np.testing.assert_array_equal(cleaned.boxes[cleaned.keep], [[1, 2, 3, 4], [0, 0, 4, 8], [0, 0, 10, 8]])
    assert cleaned.boxes.dtype == np.float32
    assert cleaned.counts == {
        "without area, dropped": 2,
        "outside the image, dropped": 2,
        "partly outside the image, clipped": 1,
    }
    message = (
        r"source: boxes 2 without area, dropped \(first b: \[5.0, 5.0.*4 \(57%\) dropped, 1 \(14%\) clipped"
    )
    with pytest.warns(UserWarning, match=message) as w:
        cleaned.report("source", list("abcdefg"))
    assert len(w) == 1


def test_each_box_is_compared_with_its_own_image():
    boxes = np.array([[0, 0, 30, 30], [0, 0, 30, 30]])
    cleaned = BoxCleaner(boxes, [(20, 25), (40, 50)])
    np.testing.assert_array_equal(cleaned.boxes, [[0, 0, 20, 25], [0, 0, 30, 30]])


@pytest.mark.filterwarnings("error")
def test_clean_boxes_and_rounding_are_silent():
    BoxCleaner(np.zeros((0, 4)), np.zeros((0, 2))).report("source", [])
    report([[-0.4, 10, 20, 480.5]])
    np.testing.assert_array_equal(clean([[-0.4, 10, 20, 480.5]]).boxes, [[0, 10, 20, 480]])
    with pytest.raises(UserWarning, match="1 partly outside"):
        report([[-0.6, 10, 20, 480.5]])


RELATIVE = [[0.1, 0.1, 0.4, 0.5], [0, 0, 1, 1], [0.2, 0.3, 0.4, 0.9], [0, 0.5, 0.5, 0.6], [0.1, 0, 0.9, 1]]


@pytest.mark.parametrize("shift", [0, -1])  # a reader of VOC subtracts 1
def test_relative_boxes_are_refused(shift):
    boxes = np.add(RELATIVE, [shift, shift, 0, 0])
    message = (
        r"source: all 5 boxes lie within 0\.\.1 \(first img0: .*look relative.* Multiply .*relative=True"
    )
    with pytest.raises(ValueError, match=message):
        report(boxes)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("boxes", "size"),
    [
        (RELATIVE[:4], SIZE),  # so few may be true
        ([*RELATIVE, [0, 0, 2, 2]], SIZE),
        (RELATIVE, (2, 2)),
    ],
)
def test_boxes_that_are_not_taken_for_relative(boxes, size):
    clean(boxes, size).report("source", list("abcdef"))


def test_empty_boxes_are_not_taken_for_relative():
    with pytest.raises(ValueError, match=r"5 \(100%\) dropped"):
        report([[0, 0, 0, 0]] * 5)


GOOD, FLAT = [10, 20, 30, 40], [5, 5, 5, 9]


def test_a_large_share_of_dropped_boxes_is_refused():
    with pytest.warns(UserWarning, match=r"Of 15 boxes: 5 \(33%\) dropped\.$"):
        report([GOOD] * 10 + [FLAT] * 5)
    message = (
        r"source: boxes 5 without area, dropped \(first img9: .*Of 14 boxes: 5 \(36%\) dropped\. At most 33% "
        r"may be dropped; .*max_dropped"
    )
    with pytest.raises(ValueError, match=message):
        report([GOOD] * 9 + [FLAT] * 5)
    with pytest.warns(UserWarning, match="dropped"):
        report([GOOD] * 9 + [FLAT] * 5, max_dropped=0.4)
    with pytest.warns(UserWarning, match="dropped"):  # four alone are no reason to stop
        report([FLAT] * 4)
    with pytest.raises(ValueError, match="At most 0% may be dropped"):
        report([GOOD] * 1000 + [FLAT] * 5, max_dropped=0)


def test_small_shares_are_not_stated():
    with pytest.warns(UserWarning, match=r"source: boxes 1 without area, dropped \(first img99: [^()]*\)$"):
        report([GOOD] * 99 + [FLAT])


def test_what_many_bad_boxes_usually_mean():
    with pytest.raises(ValueError, match="columns are in another order, or that x, y, width, height"):
        report([[30, 40, 10, 20]] * 6)
    with pytest.warns(UserWarning, match="columns are in another order"):
        report([[30, 40, 10, 20]] * 5 + [GOOD] * 50)
    with pytest.raises(ValueError, match="corners are read as x, y, width, height"):
        report([[700, 40, 710, 50]] * 6)
    with pytest.warns(UserWarning, match="corners are read as x, y, width, height"):
        report([[600, 40, 710, 50]] * 6)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report([[600, 40, 710, 50]] * 6 + [GOOD] * 20)
    assert "usually" not in str(caught[0].message)
