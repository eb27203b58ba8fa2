import cv2
import numpy as np
import pytest

from multibox.data_generator import load_yolo, yolo_classes, yolo_splits
from multibox.data_generator.formats.yolo_description import read_description


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "data"


def write(folder, **texts):
    """Writes files, of which pictures are 60 x 40. In names, `__` is a slash and `_` a dot."""
    for name, text in texts.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            cv2.imwrite(str(path), np.zeros((40, 60, 3), np.uint8))
        else:
            path.write_text(text)


BOX = "1 0.5 0.5 0.5 0.25\n"
CVAT = {
    "obj_data": "classes = 2\nnames = data/obj.names\ntrain = data/train.txt\nbackup = backup/\n",
    "obj_names": "dog\ncat\n",
    "train_txt": "data/obj.train.data/a.jpg\ndata/obj.train.data/b.jpg\n",
    "obj_train_data__a_jpg": "",
    "obj_train_data__a_txt": BOX,
    "obj_train_data__b_jpg": "",
    "obj_train_data__b_txt": "",
}


def check_boxes(dataset):
    assert dataset.class_names == ("dog", "cat")
    assert [len(record.labels) for record in dataset] == [1, 0]
    np.testing.assert_array_equal(dataset[0].boxes, [[15, 15, 45, 25]])
    np.testing.assert_array_equal(dataset[0].labels, [2])


def test_cvat(folder):
    """YOLO 1.1: paths start above the folder, which has to be called `data`."""
    write(folder, **CVAT)
    for path in (folder, folder / "obj.data"):
        dataset = load_yolo(path, progress=False)
        check_boxes(dataset)
        assert [record.image_id for record in dataset] == ["obj.train.data/a", "obj.train.data/b"]
        assert yolo_splits(path) == ("train",)


def test_cvat_without_a_folder_in_front(folder):
    write(
        folder,
        **{
            name: text.replace("data/", "").replace("obj.train.", "obj.train.data/")
            for name, text in CVAT.items()
        },
    )
    check_boxes(load_yolo(folder, progress=False))


def test_darknet_in_a_folder_data(folder):
    """As darknet has it: the folder of obj.data holds `data`."""
    write(folder, **{f"data__{name}" if name != "obj_data" else name: text for name, text in CVAT.items()})
    (folder / "data/train.txt").write_text("obj.train.data/a.jpg\nobj.train.data/b.jpg\n")
    check_boxes(load_yolo(folder / "obj.data", progress=False))


def test_label_studio(folder):
    write(
        folder,
        classes_txt="dog\ncat\n\n",
        notes_json='{"categories": [{"id": 0, "name": "dog"}, {"id": 1, "name": "cat"}]}',
        images__1a2b3c4d_a_jpg="",
        images__5e6f7a8b_b_jpg="",
        labels__1a2b3c4d_a_txt=BOX,
        labels__5e6f7a8b_b_txt="",
    )
    for path in (folder, folder / "classes.txt"):
        check_boxes(load_yolo(path, progress=False))
    assert yolo_classes(folder) == ("dog", "cat")
    with pytest.raises(ValueError, match=r"the split val must be a path .* of the file are: train"):
        load_yolo(folder, "val")


def test_splits_beside_a_list_of_classes(folder):
    write(
        folder, obj_names="dog\ncat", images__train__a_jpg="", images__val__b_jpg="", labels__val__b_txt=BOX
    )
    assert yolo_splits(folder) == ("train", "val")
    assert len(load_yolo(folder, "val", progress=False)[0].labels) == 1


def test_labelimg(folder):
    """Everything in one folder."""
    write(folder, classes_txt="dog\ncat\n", a_jpg="", a_txt=BOX, b_jpg="", b_txt="")
    check_boxes(load_yolo(folder, progress=False))


YAML = "train: images\nnames: [dog, cat]\n"


def test_which_file_of_a_folder_counts(folder):
    write(folder, pets_yaml=YAML, args_yaml="epochs: 3", broken_yml="[", classes_txt="x")
    assert read_description(folder).path == folder / "pets.yaml"
    write(folder, other_yml=YAML)
    with pytest.raises(
        ValueError, match=r"data: several yaml files have `names`: other\.yml, pets\.yaml; pass"
    ):
        read_description(folder)
    write(folder, data_yaml=YAML)
    assert read_description(folder).path == folder / "data.yaml"


def test_a_folder_without_any(folder):
    write(folder, a_txt="")
    with pytest.raises(
        FileNotFoundError, match=r"data: no YOLO data set: no data\.yaml .*obj\.data.*classes\.txt"
    ):
        load_yolo(folder)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"obj_data": "names data/obj.names\n"}, r"obj\.data, line 1: expected `key = value`, got 'names"),
        ({"obj_data": "train = train.txt\n"}, r"obj\.data: no line `names = \.\.\.`"),
        ({"obj_data": "names = ../x\n"}, r"obj\.data: names: .*/x is not in the data set's folder .*/data"),
        ({"obj_data": CVAT["obj_data"].replace("2", "3")}, r"obj\.names: the number of classes is '3'"),
        ({"obj_names": "dog\n\ncat\n"}, r"obj\.names: names: the name of class 1 must not be empty"),
        ({"obj_names": "dog\ncat\ndog\n"}, r"obj\.names: names: 'dog' occurs more than once"),
        ({"obj_names": ""}, r"obj\.names: names: there are no class names"),
        ({"train_txt": "data/../../x.jpg\n"}, r"train\.txt: .*x\.jpg is not in the data set's folder"),
    ],
)
def test_broken_files_of_darknet(folder, texts, message):
    write(folder, **{**CVAT, **texts})
    with pytest.raises(ValueError, match=message):
        load_yolo(folder, progress=False)


def test_only_paths_are_splits(folder):
    write(folder, images__a_jpg="", data_yaml=YAML + "extra: [images]\nauthor: me\nval:\ntest: images/none\n")
    assert yolo_splits(folder) == ("train", "extra", "test")
