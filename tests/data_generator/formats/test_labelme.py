import base64
import json

import numpy as np
import pytest
from annotated_images import write_image

from multibox.data_generator import load_labelme, read_image, scan_labelme


def shape(kind, points, label="cat"):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def write_json(path, shapes, image="a.jpg", data=None, size=(60, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"version": "5.2.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": data}
    if size:
        content |= {"imageHeight": size[1], "imageWidth": size[0]}
    path.write_text(json.dumps(content, indent=2))


def load(folder, classes=None):
    return load_labelme(folder, classes, progress=False)


BOX = shape("rectangle", [[30, 25.5], [10, 5]])


@pytest.mark.parametrize(
    ("kind", "points", "box"),
    [
        ("rectangle", [[30, 25.5], [10, 5]], [10, 5, 30, 25.5]),
        ("polygon", [[1, 9], [7, 2], [5, 20]], [1, 2, 7, 20]),
        (None, [[1, 9], [7, 2], [5, 20]], [1, 2, 7, 20]),
        ("circle", [[20, 20], [23, 24]], [15, 15, 25, 25]),
        ("linestrip", [[1, 9], [7, 2], [5, 20]], [1, 2, 7, 20]),
        ("line", [[1, 9], [7, 2]], [1, 2, 7, 9]),
    ],
)
def test_shapes_become_boxes(tmp_path, kind, points, box):
    write_image(tmp_path / "a.jpg")
    write_json(tmp_path / "a.json", [shape(kind, points)])
    np.testing.assert_array_equal(load(tmp_path)[0].boxes, [box])


def test_points_are_left_out_and_counted(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_json(tmp_path / "a.json", [shape("point", [[1, 2]]), BOX, shape("point", [[3, 4]])])
    with pytest.warns(UserWarning, match="left out 2 points"):
        dataset = load(tmp_path)
    assert repr(dataset) == f"<LabelMe {tmp_path.name}: 1 images, 1 objects of 1 classes>"


def test_pictures_in_other_folders(tmp_path):
    write_image(tmp_path / "images/a.jpg")
    write_image(tmp_path / "images/b.jpg")
    write_json(tmp_path / "labels/a.json", [BOX], r"..\images\a.jpg")
    write_json(tmp_path / "labels/b.json", [BOX], r"D:\old\place\renamed.jpg", size=None)
    dataset = load(tmp_path)
    assert [r.image_id for r in dataset] == ["labels/a", "labels/b"]
    assert [r.image for r in dataset] == [str(tmp_path / "images" / name) for name in ("a.jpg", "b.jpg")]
    assert (dataset[1].width, dataset[1].height) == (60, 40)


def test_an_embedded_picture_is_used_only_without_a_file(tmp_path):
    content = write_image(tmp_path / "a.png", seed=1).read_bytes()
    pixels = read_image(tmp_path / "a.png")
    write_json(tmp_path / "a.json", [BOX], "a.png", base64.b64encode(content).decode())
    assert load(tmp_path)[0].image == str(tmp_path / "a.png")
    (tmp_path / "a.png").unlink()
    record = load(tmp_path)[0]
    np.testing.assert_array_equal(read_image(record.image), pixels)
    assert str(record.image) == f"{tmp_path / 'a.json'} (imageData)"


def test_what_is_left_out_is_counted(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg")
    write_json(tmp_path / "a.json", [BOX])
    (tmp_path / "settings.json").write_text('{"a": 1}')
    with pytest.warns(UserWarning) as caught:
        assert len(load(tmp_path)) == 1
    assert "left out 1 JSON files without the key `shapes`" in str(caught[0].message)
    assert "1 pictures have no JSON file and are left out, first b.jpg" in str(caught[1].message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", r"a\.json: not a readable LabelMe file: Expected `object`, got `array`"),
        ('{"shapes": [', r"a\.json: not a readable LabelMe file"),
        ('{"shapes": [{"label": "x", "points": [["1", 2]]}]}', r"got `str` - at `\$\.shapes\[0\]\.points"),
        ('{"shapes": [{"label": "x", "points": [[1, 2]]}]}', r"\$\.shapes\[0\]: expected a label and two or"),
        ('{"shapes": [{"label": "", "points": [[1, 2], [3, 4]]}]}', r"\$\.shapes\[0\]: expected a label"),
        (
            '{"shapes": [{"label": "x", "points": [[1, 2], [1e9, 4]]}]}',
            "points: must have numbers below 1e6",
        ),
        ('{"shapes": [], "imageWidth": 1.5, "imageHeight": 2}', "must be whole pixels"),
    ],
)
def test_broken_files_name_file_and_field(tmp_path, content, message):
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.json").write_text(content)
    errors = []
    assert list(scan_labelme(tmp_path, on_error=errors.append, progress=False)) == []
    with pytest.raises(ValueError, match=message):
        raise errors[0]


def test_classes(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_json(tmp_path / "a.json", [BOX])
    assert load(tmp_path, ("dog", "cat"))[0].labels.tolist() == [2]
    with pytest.raises(ValueError, match=r"unknown class 'cat' \(1, first in .*a\.json\)"):
        load(tmp_path, ("dog",))
    write_json(tmp_path / "a.json", [])
    with pytest.raises(ValueError, match=r"no object has a class.* pass `classes`"):
        load(tmp_path)


def test_a_folder_without_json_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no JSON files in"):
        load(tmp_path)
