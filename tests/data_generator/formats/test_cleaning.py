import numpy as np
import pytest

from multibox.data_generator.formats.cleaning import BoxCleaner


def test_treatment_and_counts():
    clean = BoxCleaner()
    boxes = [
        [1, 2, 3, 4],  # good
        [5, 5, 5, 9],  # no width
        [9, 1, 2, 3],  # inverted
        [20, 1, 30, 3],  # right of the image
        [-5, -5, 0, 0],  # touches the corner only
        [-1, 0, 4, 9],  # partly outside
        [0, 0, 10, 8],  # the whole image
    ]
    kept, keep = clean("img1", boxes, 10, 8)
    np.testing.assert_array_equal(kept, [[1, 2, 3, 4], [0, 0, 4, 8], [0, 0, 10, 8]])
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(keep, [True, False, False, False, False, True, True])
    assert clean.counts == {
        "without area, dropped": 2,
        "outside the image, dropped": 2,
        "partly outside the image, clipped": 1,
    }
    with pytest.warns(
        UserWarning, match=r"source: boxes 2 without area, dropped \(first img1: \[5.0, 5.0"
    ) as w:
        clean.warn("source")
    assert len(w) == 1


def test_clean_boxes_are_silent(recwarn):
    clean = BoxCleaner()
    clean("img1", np.zeros((0, 4)), 10, 8)
    clean.warn("source")
    assert not recwarn.list
