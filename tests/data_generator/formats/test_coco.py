import json

import cv2
import numpy as np
import pytest

from multibox.data_generator import coco_categories, load_coco
from multibox.data_generator.formats import coco
from multibox.data_generator.formats.coco import scan_coco


def content():
    """Two images, 60 x 40 and 30 x 20; categories with a gap, not in the order of their ids."""
    return {
        "info": {"year": 2017},
        "images": [
            {"id": 9, "file_name": "b.jpg", "width": 60, "height": 40, "license": 3},
            {"id": 4, "file_name": "sub/a.jpg", "width": 30, "height": 20},
        ],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 7, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3]]},
            {"id": 2, "image_id": 9, "category_id": 2, "bbox": [10.5, 0, 20.25, 40.0], "iscrowd": 1},
            {
                "id": 3,
                "image_id": 4,
                "category_id": 2,
                "bbox": [0, 0, 30, 20],
                "difficult": 1,
                "truncated": True,
            },
        ],
        "categories": [{"id": 7, "name": "dog", "supercategory": "animal"}, {"id": 2, "name": "cat"}],
    }


@pytest.fixture
def write(tmp_path):
    """Writes what it is given, JSON or text, and returns file and image folder, where the images are."""
    (tmp_path / "images/sub").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/b.jpg"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "images/sub/a.jpg"), np.zeros((20, 30, 3), np.uint8))

    def write(what):
        path = tmp_path / "instances.json"
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        path.write_bytes(data)
        return path, tmp_path / "images"

    return write


def load(paths, **options):
    return load_coco(*paths, progress=False, **options)


def changed(path, value):
    """The content with one value changed; `path` is such as `annotations.0.bbox`, a value of None deletes."""
    what = part = content()
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in keys:
        part = part[key]
    if value is None:
        del part[last]
    else:
        part[last] = value
    return what


def test_fields(write):
    paths = write(content())
    dataset = load(paths)
    assert dataset.class_names == ("cat", "dog")  # by category id 2, 7
    first, second = dataset
    assert (first.image_id, first.width, first.height) == ("9", 60, 40)
    assert first.image == str(paths[1] / "b.jpg")
    np.testing.assert_array_equal(first.boxes, [[10.5, 0, 30.75, 40]])
    np.testing.assert_array_equal(first.labels, [1])
    np.testing.assert_array_equal(first.crowd, [True])
    assert (second.image_id, second.width, second.height) == ("4", 30, 20)
    assert second.image == str(paths[1] / "sub/a.jpg")
    np.testing.assert_array_equal(second.boxes, [[1, 2, 4, 6], [0, 0, 30, 20]])
    assert second.boxes.dtype == np.float32
    np.testing.assert_array_equal(second.labels, [2, 1])
    np.testing.assert_array_equal(second.crowd, [False, False])
    np.testing.assert_array_equal(second.difficult, [False, True])
    np.testing.assert_array_equal(second.truncated, [False, True])
    assert repr(dataset).startswith("<COCO instances: 2 images, 3 objects of 2 classes")


def test_categories(write):
    path, _ = write(content())
    assert list(coco_categories(path).items()) == [("cat", 2), ("dog", 7)]


def test_given_classes_decide_the_labels(write):
    dataset = load(write(content()), classes=["cow", "dog", "cat"])
    np.testing.assert_array_equal(dataset[1].labels, [2, 3])
    with pytest.raises(
        ValueError, match=r"unknown class 'dog' \(1, first in .*instances\.json: \$\.images\[1\]\)"
    ):
        load(write(content()), classes=["cat"])
    with pytest.raises(TypeError, match="load_coco: classes must be a sequence"):
        load(write(content()), classes="cat")


def test_images_without_objects(write):
    dataset = load(write({**content(), "annotations": []}))
    assert [r.boxes.shape for r in dataset] == [(0, 4), (0, 4)]
    assert dataset.class_names == ("cat", "dog")
    assert len(load(write({**content(), "annotations": [], "images": []}))) == 0


@pytest.mark.parametrize("width", [None, 0, -5])
def test_an_absent_size_is_read_from_the_image(write, width):
    record = load(write(changed("images.1.width", width)))[1]
    assert (record.width, record.height) == (30, 20)


def test_texts_as_image_ids(write):
    what = json.loads(json.dumps(content()).replace(": 9", ': "x9"'))
    assert [r.image_id for r in load(write(what))] == ["x9", "4"]


def test_the_id_that_the_writer_noted(write):
    assert load(write(changed("images.0.multibox_id", "train/000009")))[0].image_id == "train/000009"


def test_a_byte_order_mark(write):
    assert len(load(write(b"\xef\xbb\xbf" + json.dumps(content()).encode()))) == 2


def test_bad_boxes_are_treated_and_reported(write):
    paths = write(changed("annotations.0.bbox", [28, 2, 5, -4]))
    with pytest.warns(UserWarning, match=r"load_coco.*1 without area, dropped \(first 4: \[28"):
        dataset = load(paths)
    assert len(dataset[1].labels) == 1


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("annotations.2.bbox", [1, 2, 3], r"length 4.*`\$\.annotations\[2\]\.bbox`"),
        ("annotations.2.bbox", [1, 2, 3, "4"], r"got `str` - at `\$\.annotations\[2\]\.bbox\[3\]`"),
        ("annotations.2.bbox", None, r"missing required field `bbox` - at `\$\.annotations\[2\]`"),
        (
            "annotations.2.bbox",
            [1, 2, 3, 2e6],
            r"\$\.annotations\[2\]\.bbox: must have numbers below 1e6, got \[1",
        ),
        ("annotations.2.bbox", [1, float("nan"), 3, 4], r"not a COCO instances file: JSON is malformed"),
        ("annotations.2.bbox", [1, float("inf"), 3, 4], r"not a COCO instances file: JSON is malformed"),
        ("annotations.0.image_id", 5, r"\$\.annotations\[0\]\.image_id: no image has the id 5"),
        ("annotations.0.image_id", "4", r"\$\.annotations\[0\]\.image_id: no image has the id '4'"),
        ("annotations.0.image_id", 4.5, r"`\$\.annotations\[0\]\.image_id`"),
        ("annotations.1.category_id", 3, r"\$\.annotations\[1\]\.category_id: no category has the id 3"),
        ("annotations.1.iscrowd", "no", r"`\$\.annotations\[1\]\.iscrowd`"),
        ("annotations", None, "missing required field `annotations`"),
        ("images", {}, r"Expected `array`, got `object` - at `\$\.images`"),
        ("images.1.id", 9, r"\$\.images\[1\]: .*b\.jpg and .*a\.jpg have the same image id '9'"),
        ("images.1.id", "9", r"\$\.images\[1\]: .*b\.jpg and .*a\.jpg have the same image id '9'"),
        ("images.1.width", 2e6, r"\$\.images\[1\]: width must be a number below 1e6, got 2000000"),
        ("images.1.width", 30.5, r"\$\.images\[1\]: width and height must be whole pixels, got 30\.5 and 20"),
        ("images.1.file_name", None, r"missing required field `file_name` - at `\$\.images\[1\]`"),
        ("categories.1.id", 7, r"\$\.categories: the id 7 occurs more than once"),
        ("categories.1.name", "dog", r"\$\.categories: the name 'dog' occurs more than once"),
        ("categories", [], "no category has the id"),
    ],
)
def test_broken_files_name_file_key_and_value(write, path, value, message):
    what = changed(path, value)
    if path == "images.1.id":
        what["annotations"] = []
    with pytest.raises(ValueError, match=rf"(?s)instances\.json.*{message}"):
        load(write(what))


def test_files_that_are_no_instances(write):
    for what, message in (
        (b"{", "truncated"),
        (b"\xff\xfe{}", "malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"info": ' + b"[" * 100_000, "recursion"),
    ):
        with pytest.raises(ValueError, match=rf"instances\.json: not a COCO instances file: .*{message}"):
            load(write(what))


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../b.jpg", "sub/../../b.jpg", "sub\\a.jpg", "C:/b.jpg", "", "a\0"]
)
def test_images_cannot_leave_the_folder(write, name):
    with pytest.raises(ValueError, match=r"\$\.images\[0\]: file_name must be a path .* stays inside"):
        load(write(changed("images.0.file_name", name)))


def test_missing_files(write, tmp_path):
    path, folder = write(changed("images.0.file_name", "c.jpg"))
    with pytest.raises(
        FileNotFoundError, match=r"c\.jpg: no such image, but .*instances\.json: \$\.images\[0\]"
    ):
        load((path, folder))
    with pytest.raises(FileNotFoundError, match=r"no image folder .*elsewhere"):
        load((path, tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        load((tmp_path / "none.json", folder))


def test_the_size_of_a_file_is_limited(write, monkeypatch):
    paths = write(content())
    monkeypatch.setattr(coco, "MAX_BYTES", 100)
    with pytest.raises(
        ValueError, match=r"instances\.json: annotation file is too large: \d+ bytes \(limit 100\)"
    ):
        load(paths)


def test_scan_collects_errors_and_goes_on(write):
    what = content()
    what["images"].append({"id": 5, "file_name": "gone.jpg"})
    what["annotations"][1]["category_id"] = 99
    what["annotations"].append({"image_id": 77, "category_id": 2, "bbox": [0, 0, 1, 1]})
    errors = []
    annotations = list(scan_coco(*write(what), on_error=errors.append, progress=False))
    assert [a.image_id for a in annotations] == ["4"]
    assert annotations[0].names == ("dog", "cat")
    assert [type(e) for e in errors] == [ValueError, ValueError, FileNotFoundError]
    for error, message in zip(
        errors, ("no image has the id 77", "no category has the id 99", "gone.jpg"), strict=True
    ):
        assert message in str(error)
