import json

import cv2
import numpy as np
import pytest
from annotated_images import write_image

from multibox.data_generator import DetectionDataset, Record, load_dataset, load_hdf5, save_voc
from multibox.data_generator.formats.saving import LAYOUT_NAMES, convert_dataset, save_dataset
from multibox.files import new_folder

BOXES = np.array([[10, 5, 40, 35], [0, 0, 60, 40]], np.float32)


@pytest.fixture
def splits(tmp_path):
    """{split: data set}: one image each, with a difficult cat, and a crowd of dogs in train."""
    found = {}
    for seed, name in enumerate(("train", "val")):
        count = 2 - seed
        image = str(write_image(tmp_path / f"pictures/{name}.jpg", seed=seed))
        crowd = np.array([False, True])[:count]
        labels = np.array([1, 2], np.int32)[:count]
        record = Record(name, image, 60, 40, BOXES[:count], labels, ~crowd, np.zeros(count, bool), crowd)
        found[name] = DetectionDataset(("cat", "dog", "emu"), [record])
    return found


@pytest.fixture
def voc(splits, tmp_path):
    for name, dataset in splits.items():
        save_voc(dataset, tmp_path / "voc", name, progress=False)
    return tmp_path / "voc"


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


FILES = {
    "voc": [
        *("Annotations/train.xml", "Annotations/val.xml"),
        *("ImageSets/Main/train.txt", "ImageSets/Main/val.txt"),
        *("JPEGImages/train.jpg", "JPEGImages/val.jpg"),
    ],
    "coco": [
        *("images/train/train.jpg", "images/val/val.jpg", "instances_train.json", "instances_val.json"),
    ],
    "yolo": [
        *("data.yaml", "images/train/train.jpg", "images/val/val.jpg"),
        *("labels/train/train.txt", "labels/val/val.txt"),
    ],
    "csv": ["images/train/train.jpg", "images/val/val.jpg", "train.csv", "val.csv"],
    "labelme": ["train/train.jpg", "train/train.json", "val/val.jpg", "val/val.json"],
    "hdf5": ["train.h5", "val.h5"],
    "shards": ["train/00000.tar", "train/index.h5", "val/00000.tar", "val/index.h5"],
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("layout", LAYOUT_NAMES)
def test_all_layouts_read_back(voc, tmp_path, layout):
    read = convert_dataset(voc, tmp_path / "new", layout, progress=False)
    assert list(read) == ["train", "val"]
    assert files(tmp_path / "new") == FILES[layout]
    for name, before in read.items():
        if layout == "hdf5":
            after = load_hdf5(tmp_path / f"new/{name}.h5")
        else:
            after = load_dataset(tmp_path / "new", name, progress=False)
        assert after.class_names == (("cat",) if layout == "labelme" else ("cat", "dog"))
        (a,), (b,) = before, after
        count = 1 if layout in ("yolo", "labelme") else len(a.labels)  # these have no flags
        np.testing.assert_array_equal(b.boxes, a.boxes[:count])
        np.testing.assert_array_equal(b.labels, a.labels[:count])
        if layout not in ("yolo", "labelme"):
            np.testing.assert_array_equal(b.crowd, a.crowd)
            np.testing.assert_array_equal(b.difficult, a.difficult)
        np.testing.assert_array_equal(b.read(), a.read())


def test_what_is_lost_is_counted(splits, tmp_path):
    save_dataset(splits["train"], tmp_path / "coco", "coco", progress=False)
    with pytest.warns(UserWarning, match="1 crowd regions are left out, 1 objects are no longer difficult"):
        convert_dataset(tmp_path / "coco", tmp_path / "yolo", "yolo", progress=False)
    with pytest.warns(UserWarning, match="csv has no list of classes: 1 classes .* are lost, first emu"):
        convert_dataset(tmp_path / "coco", tmp_path / "csv", "csv", progress=False)


def test_the_exact_files_of_coco_and_csv(splits, tmp_path):
    save_dataset(splits["val"], tmp_path / "coco", "coco", "val", progress=False)
    assert json.loads((tmp_path / "coco/instances_val.json").read_text()) == {
        "info": {"description": "DetectionDataset"},
        "images": [{"id": 1, "file_name": "val.jpg", "width": 60, "height": 40, "multibox_id": "val"}],
        "annotations": [
            {
                **{"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 30, 30], "area": 900},
                **{"iscrowd": 0, "segmentation": [], "difficult": 1},
            }
        ],
        "categories": [{"id": i, "name": n} for i, n in enumerate(("cat", "dog", "emu"), 1)],
    }
    save_dataset(splits["val"], tmp_path / "csv", "csv", "val", progress=False)
    assert (tmp_path / "csv/val.csv").read_text() == (
        "image,image_id,width,height,xmin,ymin,xmax,ymax,class,difficult,truncated,crowd\n"
        "images/val/val.jpg,val,60,40,10,5,40,35,cat,1,0,0\n"
    )


def test_one_split(voc, tmp_path):
    convert_dataset(voc, tmp_path / "new", "coco", split="val", progress=False)
    assert files(tmp_path / "new") == ["images/val/val.jpg", "instances_val.json"]
    convert_dataset(voc, tmp_path / "data.h5", "hdf5", split="val", progress=False)
    assert len(load_hdf5(tmp_path / "data.h5")) == 1
    with pytest.raises(ValueError, match=r"data2\.h5: one file, but there are the splits train, val"):
        convert_dataset(voc, tmp_path / "data2.h5", "hdf5", progress=False)


def test_a_data_set_without_splits_and_an_id_in_two_splits(splits, tmp_path):
    save_dataset(splits["val"], tmp_path / "csv", "csv", "val", progress=False)
    convert_dataset(tmp_path / "csv/val.csv", tmp_path / "yolo", "yolo", progress=False)
    assert files(tmp_path / "yolo")[-1] == "labels/train/val.txt"
    twice = tmp_path / "twice"
    save_dataset(splits["train"].subset(["cat"]), twice, "coco", "a", progress=False)
    other = DetectionDataset(("cat",), [*splits["train"].subset(["cat"])])
    save_dataset(other, twice, "coco", "b", progress=False)
    convert_dataset(twice, tmp_path / "voc2", "voc", progress=False)
    assert files(tmp_path / "voc2")[:2] == ["Annotations/a/train.xml", "Annotations/b/train.xml"]


def test_links(voc, tmp_path):
    convert_dataset(voc, tmp_path / "new", "coco", split="val", images="link", progress=False)
    assert (tmp_path / "new/images/val/val.jpg").samefile(voc / "JPEGImages/val.jpg")


def test_nothing_is_overwritten_and_nothing_half_is_left(voc, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="full exists already; it is not overwritten"):
        convert_dataset(voc, tmp_path / "full", "coco", progress=False)
    (voc / "JPEGImages/val.jpg").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"val\.jpg"):
        convert_dataset(voc, tmp_path / "new", "hdf5", progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "pictures", "voc"]


def test_a_name_of_a_split_that_is_no_file_name(splits, tmp_path):
    for name in ("../x", "", "a/b", ".hidden"):
        with pytest.raises(ValueError, match="save_dataset: split must be made of letters"):
            save_dataset(splits["val"], tmp_path / "new", "coco", name, progress=False)


def test_a_new_folder_takes_the_place_of_an_empty_one(tmp_path):
    (tmp_path / "new").mkdir()
    with new_folder(tmp_path / "new") as partial:
        (partial / "a").write_text("a")
        assert not any((tmp_path / "new").iterdir())
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new/a").read_text() == "a"
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError), new_folder(tmp_path / "link"):
        pass


def test_real_data_sets(shared_data, tmp_path):
    for source, name in ((shared_data / "raccoon", "raccoon"), (shared_data / "chess", "chess")):
        before = load_dataset(source, progress=False)
        convert_dataset(source, tmp_path / name, "yolo", progress=False)
        after = load_dataset(tmp_path / name, progress=False)
        assert after.class_counts() == before.class_counts()
        assert cv2.imread(str(after[0].image)).shape[:2] == (after[0].height, after[0].width)
