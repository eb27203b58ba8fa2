"""The views of a picture, and what becomes of their detections."""

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.data_generator import Record
from multibox.eval_utils.views import Look, View, Viewed, checked_look, joined_rows, read_ahead

BOXES, LABELS = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)


def picture(width, height):
    return Record("a", np.zeros((height, width, 3), np.uint8).copy, width, height, BOXES, LABELS)


def test_views_by_hand():
    assert Look().views(300, 200) == [View((0, 0, 300, 200), False)]
    assert Look(flip=True).views(300, 200) == [View((0, 0, 300, 200)), View((0, 0, 300, 200), True)]
    halves = [(0, 0, 300, 200), (0, 0, 150, 200), (150, 0, 300, 200)]
    assert Look((1, 2), 0.0, True).views(300, 200) == [View(w, m) for m in (False, True) for w in halves]


@pytest.mark.parametrize(
    "tiles", [0, -1, 1.5, True, (1,), (1, 2, 3), (0, 1), (65, 1), (1, 1.5), "2x2", 70_000]
)
def test_impossible_tiles(tiles):
    with pytest.raises(ValueError, match=r"^detect: tiles must be the side of a tile in pixels, or \(rows, "):
        checked_look("detect", tiles, 0.2, False)


@pytest.mark.parametrize("overlap", [-0.1, 0.91, float("nan")])
def test_impossible_overlaps(overlap):
    with pytest.raises(ValueError, match=r"^detect: overlap must be between 0 and 0\.9, got "):
        checked_look("detect", 100, overlap, False)


def test_mirrored_detections_are_turned_back_and_joined():
    """Relative rows of a picture of 200x100: the same object in both views, and one in each alone."""
    views = Look(flip=True).views(200, 100)
    plain = np.array([[1, 0.6, 0.1, 0.2, 0.3, 0.6], [2, 0.5, 0.8, 0.1, 0.9, 0.2], [0, 0, 0, 0, 0, 0]])
    mirrored = np.array([[1, 0.9, 0.7, 0.2, 0.9, 0.6], [1, 0.3, 0.0, 0.5, 0.1, 0.9], [0, 0, 0, 0, 0, 0]])
    found = joined_rows(Viewed(picture(200, 100), views, [], [plain, mirrored]))
    expected = [[1, 0.9, 20, 20, 60, 60], [2, 0.5, 160, 10, 180, 20], [1, 0.3, 180, 50, 200, 90]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_mirrored_tiles_are_turned_back_within_the_tile():
    views = Look((1, 2), 0.0, True).views(200, 100)
    nothing = np.zeros((2, 6))
    right = np.array([[1, 0.9, 0.2, 0.1, 0.4, 0.5], [0, 0, 0, 0, 0, 0]])  # 20..40 of 100..200, mirrored
    rows = [nothing, nothing, nothing, nothing, nothing, right]
    found = joined_rows(Viewed(picture(200, 100), views, [], rows))
    np.testing.assert_allclose(found, [[1, 0.9, 160, 10, 180, 50]], rtol=1e-5)


def test_joined_detections_are_no_more_than_those_of_one_view():
    views = Look(flip=True).views(100, 100)
    plain = np.array([[1, 0.9, 0.1, 0.1, 0.2, 0.2], [1, 0.5, 0.3, 0.1, 0.4, 0.2]])
    mirrored = np.array([[1, 0.7, 0.1, 0.6, 0.2, 0.7], [1, 0.4, 0.3, 0.6, 0.4, 0.7]])
    found = joined_rows(Viewed(picture(100, 100), views, [], [plain, mirrored]))
    np.testing.assert_allclose(found[:, 1], [0.9, 0.7], rtol=1e-6)


def test_read_ahead_keeps_the_order_and_stays_near():
    taken = []

    def items():
        for number in range(20):
            taken.append(number)
            yield number

    ahead = read_ahead(items(), lambda n: n * n, 3)
    assert next(ahead) == 0
    assert len(taken) == 4
    assert list(ahead) == [n * n for n in range(1, 20)]
    taken.clear()
    live = read_ahead(items(), lambda n: n, 3, waits=lambda n: True)
    assert [next(live), len(taken), next(live), len(taken)] == [0, 1, 1, 2]


@pytest.fixture(scope="module")
def detector():
    keras.utils.set_random_seed(0)
    return mb.SSD7(1, image_size=(64, 64), mode="inference")


def test_a_mirrored_picture_has_the_mirrored_detections(detector):
    """With both views, a picture and its mirror image have mirrored detections, whatever the weights are."""
    data = mb.load_shapes(1, (64, 64))
    image = data[0].read()
    found = mb.detect(detector, image, flip=True, min_score=0).rows
    mirrored = mb.detect(detector, image[:, ::-1].copy(), flip=True, min_score=0).rows
    mirrored[:, [2, 4]] = 64 - mirrored[:, [4, 2]]
    assert len(found) > 10
    np.testing.assert_allclose(found[:10, 1:], mirrored[:10, 1:], atol=1e-3)


def test_one_tile_is_the_picture_itself(detector):
    data = mb.load_shapes(3, (64, 64))
    records = mb.DetectionDataset(
        ["a"], [mb.Record(r.image_id, r.image, 64, 64, BOXES, LABELS) for r in data]
    )
    plain = mb.predict_dataset(detector, records, 2, progress=False)
    whole = mb.predict_dataset(detector, records, 2, tiles=64, progress=False)
    for a, b in zip(plain, whole, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_tiles_look_at_the_parts(detector):
    """The left half of the picture is looked at as a picture of its own is."""
    image = np.concatenate([r.read() for r in mb.load_shapes(2, (64, 64))], axis=1)
    parts = [
        mb.detect(detector, half, min_score=0).rows for half in (image[:, :64].copy(), image[:, 64:].copy())
    ]
    found = mb.detect(detector, image, tiles=(1, 2), overlap=0, min_score=0).rows
    scores = np.concatenate([part[:, 1] for part in parts])
    whole = mb.detect(detector, image, min_score=0).rows[:, 1]

    def among(others):
        return np.isclose(found[:, 1, None], others, rtol=0, atol=5e-5).any(axis=1)

    assert len(found) and among(np.concatenate([scores, whole])).all()
    assert among(scores).any()


def test_a_picture_with_millions_of_tiles_is_refused(detector):
    """2 is the side of a tile, but (2, 2) was meant."""
    with pytest.raises(ValueError, match=r"tiles of 2x2 .* 300 rows of 500, and at most 10000"):
        mb.detect(detector, np.zeros((480, 800, 3), np.uint8), tiles=2)
