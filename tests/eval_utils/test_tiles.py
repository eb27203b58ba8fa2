import numpy as np
import pytest

from multibox.eval_utils.tiles import join_windows, tile_windows


def test_windows_by_hand():
    assert tile_windows(100, 60, 100, 0.2) == [(0, 0, 100, 60)]
    # 260 wide: starts 0, 80, 160. 100 high: one row.
    assert tile_windows(260, 100, 100, 0.2) == [
        *((0, 0, 260, 100), (0, 0, 100, 100)),
        *((80, 0, 180, 100), (160, 0, 260, 100)),
    ]
    assert tile_windows(150, 120, 100, 0) == [
        *((0, 0, 150, 120), (0, 0, 100, 100), (50, 0, 150, 100)),
        *((0, 20, 100, 120), (50, 20, 150, 120)),
    ]


@pytest.mark.parametrize("overlap", [0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("length", [101, 180, 181, 999])
def test_tiles_cover_the_picture_and_overlap_as_stated(length, overlap):
    _, *tiles = tile_windows(length, 50, 100, overlap)
    starts = [tile[0] for tile in tiles]
    assert starts[0] == 0 and tiles[-1][2] == length
    assert all(tile[2] - tile[0] == 100 for tile in tiles)
    steps = np.diff(starts)
    assert (steps <= 100 * (1 - overlap) + 1).all() and (steps > 0).all()


WINDOWS = [(0, 0, 180, 100), (0, 0, 100, 100), (80, 0, 180, 100)]


def test_joined_by_hand():
    rows = [
        np.array([[1, 0.6, 70, 10, 110, 50]]),  # the whole picture: an object across the border of both tiles
        np.array([[1, 0.9, 70, 10, 100, 50], [2, 0.5, 10, 10, 30, 30]]),  # its left part; another object
        np.array([[1, 0.8, 0, 10, 30, 50], [2, 0.7, 70, 60, 90, 90]]),  # its right part; another object
    ]
    expected = [[2, 0.7, 150, 60, 170, 90], [1, 0.6, 70, 10, 110, 50], [2, 0.5, 10, 10, 30, 30]]
    np.testing.assert_allclose(join_windows(rows, WINDOWS, (100, 180), 0.45), expected, rtol=1e-6)


def test_a_small_part_inside_a_whole_box_is_dropped():
    """Its IoU with the whole box is 0.25."""
    rows = [np.array([[1, 0.6, 90, 10, 130, 50]]), np.array([[1, 0.9, 90, 10, 100, 50]]), np.zeros((0, 6))]
    found = join_windows(rows, WINDOWS, (100, 180), 0.45)
    np.testing.assert_allclose(found, [[1, 0.6, 90, 10, 130, 50]], rtol=1e-6)
    rows[1][0, 2:] = 85, 10, 95, 50  # not at the border: another object
    assert len(join_windows(rows, WINDOWS, (100, 180), 0.45)) == 2


def test_the_same_object_in_two_tiles_is_one_and_classes_are_apart():
    rows = [
        np.zeros((0, 6)),
        np.array([[1, 0.6, 84, 20, 96, 40], [2, 0.3, 84, 20, 96, 40]]),
        np.array([[1, 0.8, 4, 21, 16, 41]]),
    ]
    expected = [[1, 0.8, 84, 21, 96, 41], [2, 0.3, 84, 20, 96, 40]]
    np.testing.assert_allclose(join_windows(rows, WINDOWS, (100, 180), 0.45), expected, rtol=1e-6)


def test_a_part_without_a_whole_box_stays_and_the_border_of_the_picture_makes_no_part():
    rows = [np.array([[1, 0.4, 0, 0, 20, 20]]), np.array([[1, 0.9, 0, 0, 10, 20], [1, 0.7, 60, 50, 100, 90]])]
    rows.append(np.zeros((0, 6)))
    found = join_windows(rows, WINDOWS, (100, 180), 0.45)
    # IoU 0.5 with the better box removes the first; the box at 100 is the part of an object.
    np.testing.assert_allclose(found[:, 1], [0.9, 0.7], rtol=1e-6)


def test_nothing_found():
    assert join_windows([np.zeros((0, 6))] * 3, WINDOWS, (100, 180), 0.45).shape == (0, 6)


def test_tiles_of_one_pixel_do_not_repeat():
    windows = tile_windows(3, 1, (1, 8), 0.5)
    assert windows == [(0, 0, 3, 1), (0, 0, 1, 1), (1, 0, 2, 1), (2, 0, 3, 1)]
