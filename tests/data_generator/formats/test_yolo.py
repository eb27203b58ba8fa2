import os

import cv2
import numpy as np
import pytest
import yaml

from multibox.data_generator import ImageError, load_yolo
from multibox.data_generator.formats import plain_yaml
from multibox.data_generator.formats.yolo import scan_yolo, yolo_classes, yolo_splits

FILE = {"path": ".", "train": "images/train", "val": "images/val", "names": ["dog", "cat"]}


@pytest.fixture
def root(tmp_path):
    """A data set of two images for training, 60 x 40 and 20 x 80, of which the second has no label file."""
    folder = tmp_path / "data"
    for name in ("images/train/sub", "images/val", "labels/train/sub"):
        (folder / name).mkdir(parents=True)
    cv2.imwrite(str(folder / "images/train/a.jpg"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(folder / "images/train/sub/b.png"), np.zeros((80, 20, 3), np.uint8))
    (folder / "labels/train/a.txt").write_text("1 0.5 0.5 0.5 0.25\n\n0 0.25 0.75 0.5 0.5\n")
    describe(folder)
    return folder


def describe(folder, **changes):
    """Writes data.yaml; a value of None deletes a key."""
    content = {key: value for key, value in {**FILE, **changes}.items() if value is not None}
    (folder / "data.yaml").write_text(yaml.safe_dump(content))


def load(folder, split="train"):
    return load_yolo(folder / "data.yaml", split, progress=False)


def ids(folder, split="train"):
    return [r.image_id for r in load(folder, split)]


def test_fields(root):
    dataset = load(root)
    assert dataset.class_names == yolo_classes(root / "data.yaml") == ("dog", "cat")
    first, second = dataset
    assert (first.image_id, first.width, first.height) == ("train/a", 60, 40)
    assert first.image == str(root / "images/train/a.jpg")
    np.testing.assert_array_equal(first.boxes, [[15, 15, 45, 25], [0, 20, 30, 40]])
    np.testing.assert_array_equal(first.labels, [2, 1])
    assert not first.difficult.any() | first.truncated.any() | first.crowd.any()
    assert (second.image_id, second.width, second.height) == ("train/sub/b", 20, 80)
    assert second.boxes.shape == (0, 4)
    assert repr(dataset) == "<YOLO train: 2 images (1 without objects), 2 objects of 2 classes>"


def test_an_empty_label_file(root):
    (root / "labels/train/a.txt").write_text("\n")
    assert load(root)[0].labels.shape == (0,)


def test_a_split_without_any_label_file_is_suspicious(root):
    (root / "labels/train/a.txt").unlink()
    with pytest.warns(
        UserWarning, match=r"data\.yaml: no image of train has a label file; expected for example .*b\.txt"
    ):
        assert len(load(root)) == 2


def test_outlines_become_the_box_around_them(root):
    (root / "labels/train/a.txt").write_text("0 0.5 0.25 0.75 0.5 0.25 1.0\n1 .1 .1 .2 .1 .2 .2 .1 .2\n")
    record = load(root)[0]
    np.testing.assert_allclose(record.boxes, [[15, 10, 45, 40], [6, 4, 12, 8]], rtol=1e-6)
    np.testing.assert_array_equal(record.labels, [1, 2])


@pytest.mark.parametrize("names", [["dog", "cat"], {0: "dog", 1: "cat"}, {1: "cat", 0: "dog"}])
def test_names(root, names):
    describe(root, names=names, nc=2)
    assert load(root).class_names == ("dog", "cat")


def test_names_that_are_other_values_in_yaml(root):
    describe(root, names=[7, True])
    assert load(root).class_names == ("7", "true")
    (root / "data.yaml").write_text("train: images/train\nnames: [no, 2023-02-30]\n")
    assert load(root).class_names == ("no", "2023-02-30")


@pytest.mark.parametrize("names", ["val", "valid", "validation"])
def test_names_of_the_validation_split(root, names):
    describe(root, **{"val": None, names: "images/train"})
    for split in ("val", "valid", "validation"):
        assert ids(root, split) == ["train/a", "train/sub/b"]


ROBOFLOW = """\
train: ../train/images
val: ../valid/images
test: ../test/images

nc: 2
names: ['dog', 'cat']

roboflow:
  workspace: me
  project: pets-x1y2z
  version: 1
  license: CC BY 4.0
  url: https://universe.roboflow.com/me/pets-x1y2z/dataset/1
"""


def test_the_file_of_roboflow(root):
    (root / "data.yaml").write_text(ROBOFLOW)
    (root / "train").mkdir()
    (root / "images/train").rename(root / "train/images")
    (root / "labels/train").rename(root / "train/labels")
    assert [len(record.labels) for record in load(root)] == [2, 0]
    assert yolo_splits(root) == ("train", "val", "test")


def test_lists_of_images(root):
    (root / "images/train/c.JPG").write_bytes((root / "images/train/a.jpg").read_bytes())
    (root / "lists").mkdir()
    first = f"../images/train/c.JPG\n\n{root}/images/train/a.jpg\n"
    (root / "lists/first.txt").write_text(first, encoding="utf-8-sig")
    (root / "second.txt").write_text("./images/train/sub/b.png\n")
    describe(root, train="lists/first.txt", val=["second.txt", "lists/first.txt"])
    assert ids(root) == ["train/c", "train/a"]
    assert ids(root, "val") == ["train/sub/b", "train/c", "train/a"]


def test_folders_are_searched_without_hidden_and_other_files(root):
    for name in ("._a.jpg", ".cache/x.jpg", "notes.txt", "a.jpg.bak"):
        (root / "images/train" / name).parent.mkdir(exist_ok=True)
        (root / "images/train" / name).write_bytes(b"")
    assert ids(root) == ["train/a", "train/sub/b"]


def test_folders_of_roboflow(root):
    """`train/images` and `train/labels`, no path, and a `../` that leads out of the data set."""
    (root / "images/train").rename(root / "moved")
    (root / "train").mkdir()
    (root / "moved").rename(root / "train/images")
    (root / "labels/train").rename(root / "train/labels")
    describe(root, path=None, train="../train/images", val="../valid/images")
    assert ids(root) == ["train/a", "train/sub/b"]
    assert len(load(root)[0].labels) == 2


def test_only_the_last_folder_images_is_replaced(root):
    (root / "images/images").mkdir()
    (root / "images/train/a.jpg").rename(root / "images/images/a.jpg")
    (root / "images/labels").mkdir()
    (root / "labels/train/a.txt").rename(root / "images/labels/a.txt")
    describe(root, train="images/images")
    record = load(root)[0]
    assert record.image_id == "images/a"
    assert len(record.labels) == 2


def test_labels_beside_the_images_where_no_folder_is_called_so(root):
    (root / "my_images").mkdir()
    (root / "images/train/a.jpg").rename(root / "my_images/a.jpg")
    (root / "labels/train/a.txt").rename(root / "my_images/a.txt")
    describe(root, train="my_images")
    assert [(r.image_id, len(r.labels)) for r in load(root)] == [("my_images/a", 2)]


def test_path_is_relative_to_the_yaml_file_or_absolute(root, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    for path in ("../data", str(root)):
        describe(tmp_path / "elsewhere", path=path)
        assert ids(tmp_path / "elsewhere") == ["train/a", "train/sub/b"]
    describe(root, path="nowhere")
    with pytest.raises(
        FileNotFoundError,
        match=r"data\.yaml: path: there is no folder 'nowhere'; looked for .*/data/nowhere, .*/nowhere, ",
    ):
        load(root)


def test_path_of_ultralytics(root, tmp_path, monkeypatch):
    """It also starts at the working directory, or above the yaml file's folder."""
    describe(root, path="data")
    assert ids(root) == ["train/a", "train/sub/b"]
    describe(root, path="datasets/coco8")
    (tmp_path / "work/datasets").mkdir(parents=True)
    (tmp_path / "work/datasets/coco8").symlink_to(root)
    monkeypatch.chdir(tmp_path / "work")
    assert ids(root) == ["train/a", "train/sub/b"]


@pytest.mark.parametrize("entry", ["/etc", "../../x", "images/../../x", "../../data/../x"])
def test_splits_cannot_leave_the_folder(root, entry):
    describe(root, train=entry)
    with pytest.raises(ValueError, match=r"data\.yaml: .* is not in the data set's folder .*/data$"):
        load(root)


@pytest.mark.parametrize("line", ["/etc/passwd.jpg", "../x.jpg", "images/../../x.jpg"])
def test_lines_of_lists_cannot_leave_the_folder(root, line):
    (root / "list.txt").write_text(f"images/train/a.jpg\n{line}\n")
    describe(root, train="list.txt")
    with pytest.raises(ValueError, match=r"list\.txt: .*\.jpg is not in the data set's folder .*/data$"):
        load(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 .5 .5 .5 .5", r"the class id must be in 0\.\.1, got '2'"),
        ("-1 .5 .5 .5 .5", r"the class id must be in 0\.\.1, got '-1'"),
        ("0.5 .5 .5 .5 .5", r"the class id must be in 0\.\.1, got '0\.5'"),
        ("dog .5 .5 .5 .5", "the class id must be a number below 1e6, got 'dog'"),
        ("0 .5 x .5 .5", "field 3 must be a number below 1e6, got 'x'"),
        ("0 .5 .5 nan .5", "field 4 must be a number below 1e6, got 'nan'"),
        ("0 .5 .5 .5 inf", "field 5 must be a number below 1e6, got 'inf'"),
        ("0 34 .5 .5 .5", "field 2 must be relative to the image, 0 to 1, got '34'"),
        ("0 .5 .5 -.5 .5", "field 4 must be relative to the image, 0 to 1, got '-.5'"),
        ("0 .5 .5 .5", "expected `class x y width height`.* got 4 fields"),
        ("0 .5 .5 .5 .5 .9", "expected .* three or more points.* got 6 fields"),
        ("0 .1 .2 .3 .4 .5 .6 .7", "expected .* got 8 fields"),
        ("0 .1 .2 .3 .4 .5 2", "field 7 must be relative"),
    ],
)
def test_broken_lines_name_file_line_and_field(root, line, message):
    (root / "labels/train/a.txt").write_text(f"0 .5 .5 .5 .5\n{line}\n")
    with pytest.raises(ValueError, match=rf"labels/train/a\.txt, line 2: {message}"):
        load(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": None}, "names must be a list or a dictionary of class names, got None"),
        ({"names": []}, "names: there are no class names"),
        ({"names": ["dog", " "]}, "names: the name of class 1 must not be empty"),
        ({"names": ["dog", "c\0t"]}, "names: the name of class 1 must not contain control characters"),
        ({"names": "dog"}, "names must be a list .* got 'dog'"),
        ({"names": {0: "dog", 2: "cat"}}, r"names: expected the class ids 0\.\.1, got \[0, 2\]"),
        ({"names": ["dog", None]}, "names: None is not a name; quote the word 'null'"),
        ({"names": ["dog", ["cat"]]}, r"names: \['cat'\] is not a name"),
        ({"names": ["dog", "cat", "dog "]}, "names: 'dog' occurs more than once"),
        ({"nc": 3}, "the number of classes is '3', but there are 2 names"),
        (
            {"train": None},
            "the split train must be a path or a list of paths, got None; the splits of the file are: val",
        ),
        ({"train": ""}, "the split train must be a path or a list of paths, got ''"),
        (
            {"train": ["images/train", {}]},
            r"the split train must be a path or a list of paths, got \['images/train', {}\]",
        ),
        ({"kpt_shape": [17, 3]}, "kpt_shape: labels with key points are not supported"),
    ],
)
def test_broken_descriptions(root, changes, message):
    describe(root, **changes)
    for read in (load, lambda root: list(scan_yolo(root / "data.yaml"))):
        with pytest.raises(ValueError, match=rf"data\.yaml: {message}"):
            read(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"names: [dog", "not a readable yaml file"),
        (b"names: \xff", "expected a text file in UTF-8"),
        (b"- dog", "expected keys such as names and train, got list"),
        (b"", "expected keys such as names and train, got NoneType"),
        (b"a: &a [1]\nb: *a\n", r"not a readable yaml file: aliases \(\*name\) are not supported"),
    ],
)
def test_files_that_are_no_description(root, text, message):
    (root / "data.yaml").write_bytes(text)
    with pytest.raises(ValueError, match=rf"data\.yaml: {message}"):
        load(root)


def test_the_size_of_a_description_is_limited(root, monkeypatch):
    monkeypatch.setattr(plain_yaml, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match=r"data\.yaml: file is too large: \d+ bytes \(limit 10\)"):
        load(root)


def test_missing_files(root):
    with pytest.raises(
        FileNotFoundError, match=r"data\.yaml: images/val: no images \(\.jpg.*\) in .*images/val"
    ):
        load(root, "val")
    (root / "list.txt").write_text("images/train/gone.jpg\n")
    describe(root, train="list.txt", val="images/none", test="data.yaml")
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: no such image, but a list names it"):
        load(root)
    for split in ("val", "test"):
        with pytest.raises(
            FileNotFoundError, match=r"no folder of images and no \.txt list of images at .*/data/"
        ):
            load(root, split)
    with pytest.raises(FileNotFoundError, match=r"none\.yaml"):
        load_yolo(root / "none.yaml")


def test_images_that_share_a_label_file(root):
    cv2.imwrite(str(root / "images/train/a.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png have the same image id 'train/a'"):
        load(root)
    (root / "list.txt").write_text("images/train/a.jpg\nimages/train/a.jpg\n")
    describe(root, train="list.txt")
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.jpg have the same image id"):
        load(root)


def test_a_label_file_that_is_no_text(root):
    (root / "labels/train/a.txt").write_bytes(b"\xff\xfe0")
    with pytest.raises(ValueError, match=r"a\.txt: expected a text file in UTF-8"):
        load(root)


def test_an_image_whose_size_cannot_be_read(root):
    (root / "images/train/a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.jpg: cannot read the size"):
        load(root)


def test_bad_boxes_are_treated_and_reported(root):
    (root / "labels/train/a.txt").write_text("0 .5 .5 0 .5\n0 .5 .5 .5 .5\n")
    with pytest.warns(UserWarning, match=r"load_yolo.*1 without area, dropped \(first train/a"):
        assert len(load(root)[0].labels) == 1


def test_scan_collects_errors_and_goes_on(root):
    (root / "labels/train/a.txt").write_text("7 .5 .5 .5 .5\n")
    (root / "labels/train/sub/b.txt").write_text("1 .5 .5 .5 .5\n")
    errors = []
    annotations = list(scan_yolo(root / "data.yaml", on_error=errors.append, progress=False))
    assert [(a.image_id, a.names, a.size, a.relative) for a in annotations] == [
        ("train/sub/b", ("cat",), None, True)
    ]
    np.testing.assert_array_equal(annotations[0].boxes, [[0.25, 0.25, 0.75, 0.75]])
    assert len(errors) == 1
    assert "a.txt, line 1: the class id" in str(errors[0])


@pytest.mark.filterwarnings("error")
def test_rounding_is_silent(root):
    (root / "labels/train/a.txt").write_text("0 0.50000 0.50001 0.50000 1.00000\n")
    np.testing.assert_array_equal(load(root)[0].boxes, [[15, np.float32(0.0004), 45, 40]])


def test_a_pipe_in_place_of_a_file(root):
    (root / "data.yaml").unlink()
    os.mkfifo(root / "data.yaml")
    with pytest.raises(ValueError, match=r"data\.yaml: expected a file, but this is a named pipe"):
        load(root)
    (root / "data.yaml").unlink()
    describe(root)
    (root / "labels/train/a.txt").unlink()
    os.mkfifo(root / "labels/train/a.txt")
    with pytest.raises(ValueError, match=r"a\.txt: expected a file, but this is a named pipe"):
        load(root)
