"""LabelMe's files, written and read back."""

import json

import numpy as np
import pytest
from written_records import record, records_of_three_boxes

from multibox.data_generator import DetectionDataset, load_labelme, load_shapes, save_labelme

CLASSES = ("dog", "sea cow", "犬")


@pytest.fixture
def dataset(tmp_path):
    return DetectionDataset(CLASSES, records_of_three_boxes(tmp_path, "sub/b.c.PNG"), "some")


def save(dataset, folder, **options):
    save_labelme(dataset, folder, progress=False, **options)


def test_files(dataset, tmp_path):
    save(dataset, tmp_path / "out")
    files = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert files == ["a.jpg", "a.json", "sub/b.c.json", "sub/b.c.png"]
    content = json.loads((tmp_path / "out/a.json").read_text(encoding="utf-8"))
    assert content.pop("shapes")[1] == {
        "label": "犬",
        "points": [[np.float32(10.1), 5], [np.float32(20.7), 6.25]],
        "group_id": None,
        "description": "",
        "shape_type": "rectangle",
        "flags": {},
    }
    assert content == {
        "version": "5.5.0",
        "flags": {},
        "imagePath": "a.jpg",
        "imageData": None,
        "imageHeight": 40,
        "imageWidth": 60,
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("images", ["copy", "link"])
def test_round_trip(dataset, tmp_path, images):
    save(dataset, tmp_path / "out", images=images)
    same = load_labelme(tmp_path / "out", CLASSES, progress=False)
    assert same.class_names == CLASSES and [r.image_id for r in same] == ["a", "sub/b.c"]
    for mine, other in zip(dataset, same, strict=True):
        assert (mine.width, mine.height) == (other.width, other.height)
        np.testing.assert_array_equal(mine.boxes, other.boxes)
        np.testing.assert_array_equal(mine.labels, other.labels)
        np.testing.assert_array_equal(mine.read(), other.read())


def test_drawn_images_become_png(tmp_path):
    shapes = load_shapes(2, (40, 60))
    save(shapes, tmp_path / "out")
    same = load_labelme(tmp_path / "out", shapes.class_names, progress=False)
    assert same[0].image.endswith("shapes-0-0.png")
    np.testing.assert_array_equal(same[1].boxes, shapes[1].boxes)
    np.testing.assert_array_equal(same[1].read(), shapes[1].read())


def test_flags_are_lost_with_a_warning(tmp_path):
    flags = {"difficult": [1, 0, 0], "truncated": [1, 1, 0], "crowd": [0, 0, 1]}
    boxes = [[1, 2, 30, 40], [5, 6, 7, 8], [9, 9, 19, 19]]
    data = DetectionDataset(CLASSES, [record(tmp_path, "a.jpg", "a", boxes, [1, 2, 3], **flags)], "some")
    message = "1 crowd regions are left out, 1 objects are no longer difficult, 2 objects are no longer trunc"
    with pytest.warns(UserWarning, match=message) as caught:
        save(data, tmp_path / "out")
    assert caught[0].filename == __file__
    assert len(load_labelme(tmp_path / "out", CLASSES, progress=False)[0].labels) == 2


def test_nothing_is_overwritten(dataset, tmp_path):
    save(dataset, tmp_path / "out")
    before = (tmp_path / "out/a.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"a\.json exists already; it is not overwritten"):
        save(dataset, tmp_path / "out")
    assert (tmp_path / "out/a.json").read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other/a.jpg").write_bytes(b"of somebody else")
    with pytest.raises(FileExistsError, match=r"a\.jpg exists already"):
        save(dataset, tmp_path / "other")
    assert (tmp_path / "other/a.jpg").read_bytes() == b"of somebody else"


@pytest.mark.parametrize("image_id", ["../a", ".a", "b/.c", "a\n"])
def test_image_ids_that_cannot_be_file_names(tmp_path, image_id):
    data = DetectionDataset(CLASSES, [record(tmp_path, "a.jpg", image_id, [], [])], "some")
    with pytest.raises(ValueError, match="save_labelme: "):
        save(data, tmp_path / "out")
    assert not (tmp_path / "out").exists()
