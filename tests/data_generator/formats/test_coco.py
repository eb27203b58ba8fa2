import json
import os
from contextlib import nullcontext
from functools import partial

import cv2
import numpy as np
import pytest

from multibox.data_check import check_dataset
from multibox.data_generator import coco_categories, load_coco
from multibox.data_generator.formats import coco_content, picture_files
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


@pytest.mark.parametrize("width", [None, 0])
def test_an_absent_size_is_read_from_the_image(write, width):
    record = load(write(changed("images.1.width", width)))[1]
    assert (record.width, record.height) == (30, 20)


def test_a_negative_size(write):
    with pytest.raises(ValueError, match=r"\$\.images\[1\]: width and height must not be negative, got -5"):
        load(write(changed("images.1.width", -5)))


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
        ("annotations.0.image_id", "5", r"\$\.annotations\[0\]\.image_id: no image has the id '5'"),
        ("annotations.0.image_id", 4.5, r"`\$\.annotations\[0\]\.image_id`"),
        ("annotations.1.category_id", 3, r"\$\.annotations\[1\]\.category_id: no category has the id 3"),
        ("annotations.1.iscrowd", "no", r"`\$\.annotations\[1\]\.iscrowd`"),
        ("annotations", None, "missing required field `annotations`"),
        ("images", {}, r"Expected `array`, got `object` - at `\$\.images`"),
        ("images.1.id", 9, r"\$\.images: 1 ids occur more than once, first 9 \(b\.jpg, sub/a\.jpg\)"),
        ("images.1.id", "9", r"\$\.images: 1 ids occur more than once, first '9' \(b\.jpg, sub/a\.jpg\)"),
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


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x.jpg", "sub/../../x.jpg", "C:/x.jpg"])
def test_nothing_outside_the_folder_is_found(write, name, tmp_path):
    cv2.imwrite(str(tmp_path / "x.jpg"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(FileNotFoundError, match=r"\$\.images\[0\]: no image"):
        load(write(changed("images.0.file_name", name)))


@pytest.mark.parametrize("name", ["", "a\0"])
def test_names_that_are_none(write, name):
    with pytest.raises(ValueError, match=r"\$\.images\[0\]: expected the name of an image"):
        load(write(changed("images.0.file_name", name)))


def test_missing_files(write, tmp_path):
    path, folder = write(changed("images.0.file_name", "c.jpg"))
    with pytest.raises(
        FileNotFoundError, match=r"instances\.json: \$\.images\[0\]: no image 'c\.jpg' in .*images"
    ):
        load((path, folder))
    with pytest.raises(FileNotFoundError, match=r"no image folder .*elsewhere"):
        load((path, tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        load((tmp_path / "none.json", folder))


def test_the_size_of_a_file_is_limited(write, monkeypatch):
    paths = write(content())
    monkeypatch.setattr(coco_content, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"instances\.json: file is too large: \d+ bytes \(limit 100\)"):
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


def scan_all(paths, **options):
    """The annotations of a file, and the texts of its faults."""
    errors = []
    annotations = list(scan_coco(*paths, on_error=errors.append, progress=False, **options))
    return annotations, [str(error).replace(f"{paths[0]}: ", "") for error in errors]


def test_all_faults_of_a_file_are_listed(write):
    what = content()
    what["images"] += [
        {"id": 9, "file_name": "again.jpg"},
        {"id": 5, "file_name": "gone.jpg"},
        {"id": 6, "file_name": None},
    ]
    what["categories"].append({"id": 8, "name": "dog"})
    good = {"image_id": 4, "category_id": 2, "bbox": [0, 0, 1, 1]}
    what["annotations"] += [
        {**good, "category_id": 8},
        {**good, "image_id": 77},
        {**good, "category_id": 99},
        {**good, "image_id": 77},
        {**good, "bbox": [1, 2, 3, 4, 90]},
        {**good, "bbox": "1 2 3 4"},
        {**good, "bbox": [0, 0, 2e6, 1]},
        {**good, "image_id": 6},  # its image is reported
    ]
    annotations, faults = scan_all(write(what))
    assert annotations == []
    expected = [
        "$.images: 1 ids occur more than once, first 9 (b.jpg, again.jpg)",
        "Expected `str`, got `null` - at `$.images[4].file_name`",
        "Expected `array` of length 4 - at `$.annotations[7].bbox`: expected [x, y, width, height]",
        "Expected `array`, got `str` - at `$.annotations[8].bbox`",
        "$.categories: the name 'dog' occurs more than once: id 7 with 1 objects, id 8 with 1 objects",
        "$.annotations[4].image_id: no image has the id 77 (1 more annotations have it)",
        "$.annotations[5].category_id: no category has the id 99",
        "$.annotations[9].bbox: must have numbers below 1e6, got [0.0, 0.0, 2000000.0, 1.0]",
        "$.images[3]: no image 'gone.jpg'",
    ]
    assert len(faults) == len(expected)
    for fault, start in zip(faults, expected, strict=True):
        assert fault.startswith(start)


def test_check_makes_findings_of_them(write):
    what = content()
    what["annotations"][0]["bbox"] = None
    what["annotations"][1]["category_id"] = 99
    report = check_dataset({"train": partial(scan_coco, *write(what))}, progress=False)
    found = [f.message for f in report.findings if f.kind == "unreadable-annotation"]
    assert len(found) == 2
    assert "$.annotations[0].bbox" in found[0] and "no category has the id 99" in found[1]


def roboflow(*names, parent="pieces", objects=()):
    """Categories as Roboflow writes them: an unused parent with the id 0."""
    categories = [{"id": 0, "name": parent, "supercategory": "none"}]
    categories += [{"id": i, "name": n, "supercategory": parent} for i, n in enumerate(names, 1)]
    annotations = [
        {"id": i, "image_id": 4, "category_id": k, "bbox": [1, 2, 3, 4], "area": 12, "segmentation": []}
        for i, k in enumerate(objects)
    ]
    return {**content(), "categories": categories, "annotations": annotations}


@pytest.mark.parametrize(
    ("what", "classes"),
    [
        (roboflow("bishop", "king", objects=[2]), {"bishop": 1, "king": 2}),
        (roboflow("bishop", "king", objects=[2, 0]), {"pieces": 0, "bishop": 1, "king": 2}),
        (roboflow("raccoon", parent="raccoon", objects=[1]), {"raccoon": 1}),
        (roboflow("raccoon", parent="raccoon"), {"raccoon": 1}),
        (roboflow("person", parent="none"), {"person": 1}),
    ],
)
def test_an_unused_parent_is_no_class(write, what, classes):
    path, folder = write(what)
    assert load((path, folder)).class_names == tuple(classes)
    assert coco_categories(path) == classes


def test_a_parent_that_is_asked_for(write):
    paths = write(roboflow("bishop", objects=[1]))
    assert load(paths, classes=["pieces", "bishop"])[1].labels.tolist() == [2]


def test_the_folder_of_the_file_is_the_default(write):
    path, folder = write(content())
    path = path.rename(folder / "_annotations.coco.json")
    dataset = load_coco(path, progress=False)
    assert dataset[0].image == str(folder / "b.jpg")


def test_two_categories_of_one_name(write):
    what = content()
    what["categories"].append({"id": 1, "name": "dog"})
    path, folder = write(what)
    assert load((path, folder)).class_names == ("cat", "dog")
    assert coco_categories(path) == {"cat": 2, "dog": 7}
    what["annotations"][1]["category_id"] = 1
    message = r"the name 'dog' occurs more than once: id 1 with 1 objects, id 7 with 1 objects"
    for read in (load, lambda paths: coco_categories(paths[0])):
        with pytest.raises(ValueError, match=message):
            read(write(what))
    with pytest.raises(ValueError, match="unknown class 'dog'"):
        load(write(what), classes=["cat"])


def test_ids_that_are_texts(write):
    what = content()
    what["images"][0]["id"] = "9"
    what["annotations"][0]["image_id"] = "4"
    what["annotations"][2]["category_id"] = "2"
    what["categories"][0]["id"] = "7"
    path, folder = write(what)
    dataset = load((path, folder))
    assert [r.image_id for r in dataset] == ["9", "4"]
    assert [r.labels.tolist() for r in dataset] == [[1], [2, 1]]
    assert list(coco_categories(path)) == ["cat", "dog"]


def with_boxes(boxes):
    annotations = [{"image_id": 9, "category_id": 2, "bbox": box} for box in boxes]
    return {**content(), "annotations": annotations}


CORNERS = [[40, 20, 55, 35], [10, 30, 20, 38], [5, 5, 20, 30], [50, 1, 60, 40]]  # the image is 60 x 40


def test_corners_in_place_of_sides(write):
    with pytest.raises(ValueError, match=r"3 of 4 boxes reach outside .* 4 are inside as corners"):
        load(write(with_boxes(CORNERS)))
    assert load(write(with_boxes(CORNERS)), box_format="xyxy")[0].boxes.tolist() == CORNERS
    _, faults = scan_all(write(with_boxes(CORNERS)))
    assert len(faults) == 1 and "as corners" in faults[0]
    with pytest.raises(ValueError, match="box_format must be None, 'xywh' or 'xyxy', got 'yxyx'"):
        load(write(content()), box_format="yxyx")


def test_boxes_outside_that_are_no_corners_are_clipped(write):
    with pytest.warns(UserWarning, match="3 partly outside the image, clipped"):
        load(write(with_boxes([[40, 20, 25, 5], [50, 30, 20, 5], [30, 5, 40, 3]])))


def test_objects_without_bbox_have_the_box_of_their_polygons(write):
    what = content()
    what["annotations"][0] |= {"bbox": [], "segmentation": [[5, 6, 9, 6, 9, 8], [2, 7, 4, 7, 4, 11.5]]}
    del what["annotations"][2]["bbox"]
    what["annotations"][2]["segmentation"] = [[0, 0, 30, 0, 30, 20]]
    with pytest.warns(UserWarning, match="2 objects without bbox have the box around their polygons"):
        dataset = load(write(what))
    assert dataset[1].boxes.tolist() == [[2, 6, 9, 11.5], [0, 0, 30, 20]]


@pytest.mark.parametrize("segmentation", [[], {"size": [20, 30], "counts": "abc"}, [[1, 2, 3]], [["a", "b"]]])
def test_no_bbox_and_no_polygon(write, segmentation):
    what = content()
    what["annotations"][0] |= {"bbox": None, "segmentation": segmentation}
    with pytest.raises(ValueError, match=r"annotations\[0\]\.bbox`: expected .* or else a polygon"):
        load(write(what))


def test_cvat(write):
    """As CVAT 2 exports "COCO 1.0"."""
    what = content()
    what["images"] = [
        {"id": 1, "width": 60, "height": 40, "file_name": "b.jpg", "license": 0, "flickr_url": ""}
        | {"coco_url": "", "date_captured": 0}
    ]
    what["categories"] = [{"id": 1, "name": "cat", "supercategory": ""}, {"id": 2, "name": "dog"}]
    rle = {"counts": [5, 10, 2385], "size": [40, 60]}
    attributes = {"occluded": True, "rotation": 0.0}
    common = {"image_id": 1, "area": 600.0, "bbox": [10.25, 5.5, 30.0, 20.0], "attributes": attributes}
    what["annotations"] = [
        {"id": 1, "category_id": 2, "segmentation": [], "iscrowd": 0, **common},
        {"id": 2, "category_id": 1, "segmentation": rle, "iscrowd": 1, **common},
    ]
    (record,) = load(write(what))
    assert record.boxes.tolist() == [[10.25, 5.5, 40.25, 25.5]] * 2
    assert record.labels.tolist() == [2, 1] and record.crowd.tolist() == [False, True]


@pytest.mark.parametrize(
    ("name", "guessed"),
    [
        ("sub\\a.jpg", True),
        ("images/sub\\a.jpg", True),
        ("../../label-studio/data/media/upload/1/a.jpg", True),
        ("/label-studio/data/upload/3/0a1b2c3d-a.jpg", True),
        ("sub/a.jpg", False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_label_studio(write, name, guessed):
    """As Label Studio exports COCO: ids from 0, no size in old versions, `ignore`, no supercategories."""
    what = {
        "images": [{"id": 0, "file_name": name}],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
        "annotations": [
            {"id": 0, "image_id": 0, "category_id": 1, "segmentation": [], "bbox": [3, 4, 5, 6], "ignore": 0}
        ],
        "info": {"year": 2024, "version": "1.0", "contributor": "Label Studio"},
    }
    paths = write(what)
    warns = (
        pytest.warns(UserWarning, match="1 of 1 pictures are not at the path") if guessed else nullcontext()
    )
    with warns:
        (record,) = load(paths)
    assert record.image == str(paths[1] / "sub/a.jpg") and (record.width, record.height) == (30, 20)
    assert record.boxes.tolist() == [[3, 4, 8, 10]] and record.labels.tolist() == [2]


def test_two_names_that_lead_to_one_picture(write):
    what = content()
    what["images"].append({"id": 5, "file_name": "other/b.jpg"})
    with pytest.raises(ValueError, match=r"images\[2\]: file_name 'other/b.jpg' and .*images\[0\] lead to"):
        load(write(what))


def test_the_folder_is_not_walked_if_all_pictures_are_there(write, monkeypatch):
    monkeypatch.setattr(picture_files.os, "walk", None)
    assert len(load(write(content()))) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused(write, tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    for read in (lambda path: load((path, tmp_path / "images")), coco_categories):
        with pytest.raises(ValueError, match=r"pipe\.json: expected a file, but this is a named pipe"):
            write(content()), read(tmp_path / "pipe.json")
