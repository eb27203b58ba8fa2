import json

import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils import Detection, Detections

ROWS = np.array(
    [[2, 0.9, 10, 20, 30, 40], [1, 0.75, 0, 0, 5, 5], [2, 0.5, 1, 2, 3, 4], [3, 0.25, 6, 6, 9, 9]], np.float32
)
PICTURE = np.zeros((50, 60, 3), np.uint8)


@pytest.fixture
def found():
    return Detections.from_rows(ROWS, ("cat", "dog", None), (50, 60), PICTURE)


def test_values(found):
    assert len(found) == 4
    assert next(iter(found)) == found[0] == Detection("dog", pytest.approx(0.9), (10, 20, 30, 40), 2)
    assert found[-1].class_name is None
    np.testing.assert_array_equal(found.rows, ROWS)
    assert found.path is None
    with pytest.raises(IndexError):
        found[4]


def test_by_class_and_by_slice(found):
    dogs = found["dog"]
    assert isinstance(dogs, Detections)
    np.testing.assert_array_equal(dogs.scores, np.float32([0.9, 0.5]))
    assert len(found["cat"]) == 1
    assert len(found[:2]) == 2 and found[:2].class_ids.tolist() == [2, 1]
    with pytest.raises(KeyError, match="no class 'owl'; there are cat, dog"):
        found["owl"]


def test_to_dict_is_json(found):
    content = json.loads(json.dumps(found[1:2].to_dict()))
    assert content == {
        "image": None,
        "width": 60,
        "height": 50,
        "detections": [{"class_name": "cat", "class_id": 1, "score": 0.75, "box": [0, 0, 5, 5]}],
    }


def test_repr(found):
    assert repr(found) == "<Detections: 60x50 pixels, 2 dog, 1 cat, 1 class 3>"
    assert repr(found[:0]) == "<Detections: 60x50 pixels, nothing found>"
    named = Detections.from_rows(ROWS[:1], None, (50, 60), "folder/street.jpg")
    assert repr(named) == "<Detections: street.jpg, 60x50 pixels, 1 class 2>"


def test_names_cannot_control_the_terminal():
    named = Detections.from_rows(ROWS[1:2], ("cat\x1b[2J",), (50, 60), "folder/a\nb.jpg")
    assert repr(named) == r"<Detections: a\nb.jpg, 60x50 pixels, 1 cat\x1b[2J>"


def test_it_is_frozen(found):
    with pytest.raises(AttributeError):
        found.scores = np.zeros(4)


def test_plot_draws_every_box_with_its_name(found):
    axes = found.plot().axes[0]
    assert len(axes.patches) == 4
    assert {text.get_text() for text in axes.texts} == {"dog 0.90", "cat 0.75", "dog 0.50", "3 0.25"}
    assert len(found.plot(min_score=0.6).axes[0].patches) == 2


def test_plot_detections_takes_them_too(found):
    axes = mb.plot_detections(PICTURE, found).axes[0]
    assert [text.get_text() for text in axes.texts] == ["dog 0.50", "cat 0.75", "dog 0.90"]
