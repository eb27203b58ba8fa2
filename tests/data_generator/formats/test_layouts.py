import json

import pytest
from annotated_images import write_image

from multibox.data_generator import create_hdf5_dataset, load_dataset, save_csv, save_voc
from multibox.data_generator.formats.layouts import dataset_splits, find_layout, path_and_set

XML = (
    "<annotation><object><name>{}</name>"
    "<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object></annotation>"
)


def load(path, *arguments):
    return load_dataset(path, *arguments, progress=False)


def write_xml(path, name="cat", seed=0):
    """An XML file with its picture beside it."""
    write_image(path.with_suffix(".jpg"), seed=seed)
    path.write_text(XML.format(name))


def write_coco(path, image="a.jpg", box=(10, 5, 20, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": 1, "file_name": image, "width": 60, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": box}],
        "categories": [{"id": 3, "name": "cat"}],
    }
    path.write_text(json.dumps(content))


def write_set(root, name, text):
    (root / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
    (root / f"ImageSets/Main/{name}.txt").write_text(text)


def voc_folder(root, names=("a", "b")):
    (root / "Annotations").mkdir(parents=True)
    for seed, name in enumerate(names):
        write_image(root / f"JPEGImages/{name}.jpg", seed=seed)
        (root / f"Annotations/{name}.xml").write_text(XML.format("cat"))


def test_real_data_sets(shared_data):
    expected = {
        "bccd": "<Pascal VOC test+train+val: 364 images, 4888 objects of 3 classes (1131 truncated)>",
        "fruit": "<LabelMe test: 60 images, 117 objects of 3 classes>",
        "voc2007-mini": "<Pascal VOC train+val: 1500 images, 4499 objects of 20 classes "
        "(868 difficult, 2267 truncated)>",
    }
    for name, text in expected.items():
        assert repr(load(shared_data / name)) == text


def test_a_real_export_of_roboflow(shared_data):
    dataset = load(shared_data / "chess")
    assert (dataset.name, len(dataset), sum(dataset.class_counts().values())) == ("COCO test+valid", 87, 762)
    assert dataset.class_counts()["black-pawn"] == 163
    assert len(load(shared_data / "chess", "valid")) == 58


def test_a_real_folder_that_two_layouts_fit(shared_data):
    with pytest.warns(
        UserWarning, match=r"read as Pascal VOC XML; there is also CSV \(.*raccoon_labels\.csv\)"
    ):
        dataset = load(shared_data / "raccoon")
    assert repr(dataset) == "<Pascal VOC XML: 200 images, 217 objects of 1 classes (59 truncated)>"
    table = load(shared_data / "raccoon/data/raccoon_labels.csv")
    assert repr(table) == "<CSV: 200 images, 217 objects of 1 classes>"


def test_voc_sets_and_classes_of_all_sets(tmp_path):
    voc_folder(tmp_path)
    (tmp_path / "Annotations/b.xml").write_text(XML.format("ant"))
    for name, text in {"train": "a\n", "val": "b\n", "trainval": "a\nb\n", "cat_val": "b -1\na 1\n"}.items():
        write_set(tmp_path, name, text)
    assert dataset_splits(tmp_path) == ("cat_val", "train", "trainval", "val")
    assert repr(load(tmp_path)) == "<Pascal VOC train+val: 2 images, 2 objects of 2 classes>"
    assert repr(load(tmp_path, "trainval")) == "<Pascal VOC trainval: 2 images, 2 objects of 2 classes>"
    assert load(tmp_path, "train")[0].labels.tolist() == [2]
    assert load(tmp_path, "train", ("cat",))[0].labels.tolist() == [1]
    with pytest.raises(ValueError, match="no split 'x'; there are: cat_val, train, trainval, val"):
        load(tmp_path, "x")


def test_a_devkit_of_two_years(tmp_path):
    for year, name in (("2007", "a"), ("2012", "b")):
        root = tmp_path / f"VOCdevkit/VOC{year}"
        voc_folder(root, (name,))
        write_set(root, "train", name)
    assert dataset_splits(tmp_path) == ("2007:train", "2012:train")
    dataset = load(tmp_path)
    assert (len(dataset), dataset.num_classes) == (2, 20)


def test_xml_folders_named_as_splits(tmp_path):
    """As Roboflow exports Pascal VOC."""
    write_xml(tmp_path / "train/a.xml", "cat")
    write_xml(tmp_path / "valid/a.xml", "dog", seed=1)
    assert dataset_splits(tmp_path) == ("train", "valid")
    assert [r.image_id for r in load(tmp_path)] == ["train/a", "valid/a"]
    valid = load(tmp_path, "valid")
    assert (valid.name, valid.class_names, valid[0].labels.tolist()) == (
        "Pascal VOC XML valid",
        ("cat", "dog"),
        [2],
    )


@pytest.mark.parametrize(
    ("files", "splits"),
    [
        (
            {"train/_annotations.coco.json": "train", "valid/_annotations.coco.json": "valid"},
            ("train", "valid"),
        ),
        (
            {
                "annotations/instances_train2017.json": "train2017",
                "annotations/instances_val2017.json": "val2017",
                "annotations/person_keypoints_val2017.json": "val2017",
            },
            ("train2017", "val2017"),
        ),
        ({"result.json": "images"}, ("result",)),
    ],
)
def test_coco_folders(tmp_path, files, splits):
    for file, images in files.items():
        write_image(tmp_path / images / "a.jpg")
        write_coco(tmp_path / file)
    assert dataset_splits(tmp_path) == splits
    dataset = load(tmp_path)
    assert len(dataset) == len(splits)
    assert dataset[0].image == str(tmp_path / next(iter(files.values())) / "a.jpg")
    if len(splits) > 1:  # the ids of the images are the same
        assert [r.image_id for r in dataset] == [f"{split}/1" for split in splits]


def test_splits_that_annotate_an_image_differently(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_coco(tmp_path / "train.json")
    write_coco(tmp_path / "val.json")
    assert len(load(tmp_path)) == 1
    write_coco(tmp_path / "val.json", box=(10, 5, 20, 21))
    with pytest.raises(ValueError, match=r"annotate the image .*a\.jpg differently; pass one of the splits"):
        load(tmp_path)


def test_yolo(tmp_path):
    write_image(tmp_path / "images/train/a.jpg")
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("0 0.5 0.5 0.4 0.6\n")
    (tmp_path / "data.yaml").write_text("names: [dog]\ntrain: images/train\n")
    for path in (tmp_path, tmp_path / "data.yaml"):
        assert repr(load(path)) == "<YOLO train: 1 images, 1 objects of 1 classes>"


def test_files_that_the_package_writes(tmp_path):
    write_xml(tmp_path / "a.xml")
    dataset = load(tmp_path)
    save_voc(dataset, tmp_path / "voc", progress=False)
    save_csv(dataset, tmp_path / "csv" / "labels.csv", tmp_path)
    write_image(tmp_path / "csv/a.jpg")
    create_hdf5_dataset(dataset, tmp_path / "data.h5", progress=False)
    for path, text in (
        ("voc", "<Pascal VOC train: 1 images, 1 objects of 1 classes>"),
        ("csv", "<CSV labels: 1 images, 1 objects of 1 classes>"),
        ("csv/labels.csv", "<CSV: 1 images, 1 objects of 1 classes>"),
        ("data.h5", "<HDF5: 1 images, 1 objects of 1 classes>"),
    ):
        assert repr(load(tmp_path / path)) == text


def test_labelme(tmp_path):
    write_image(tmp_path / "a.jpg")
    shapes = [{"label": "cat", "points": [[1, 2], [9, 9]], "shape_type": "rectangle"}]
    (tmp_path / "a.json").write_text(json.dumps({"shapes": shapes, "imagePath": "a.jpg"}))
    assert repr(load(tmp_path)) == "<LabelMe: 1 images, 1 objects of 1 classes>"


def test_what_no_layout_fits(tmp_path):
    with pytest.raises(FileNotFoundError, match="x: no such file or folder"):
        find_layout(tmp_path / "x")
    with pytest.raises(ValueError) as caught:
        find_layout(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: no layout of a data set fits. HDF5: not an HDF5 file. "
        "shards: no index.h5 of save_shards. "
        "Pascal VOC: no folder with Annotations and ImageSets/Main/*.txt. "
        "COCO: no JSON file with images, annotations and categories. YOLO: "
        f"{tmp_path}: no YOLO data set: no data.yaml or other yaml file with `names`, no obj.data, and no "
        "classes.txt with the names of the classes. "
        "Pascal VOC XML: no XML files with <annotation>. "
        "LabelMe: no JSON files with the key `shapes`. TFRecord: no TFRecord files. "
        "Open Images: no CSV file with the columns of Open Images. CSV: no CSV file"
    )


def test_no_objects_and_no_list_of_classes(tmp_path):
    write_xml(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_text("<annotation/>")
    with pytest.raises(ValueError, match="no annotation has an object; pass classes"):
        load(tmp_path)
    assert load(tmp_path, None, ("cat",)).num_classes == 1


def test_a_path_and_a_set(tmp_path, monkeypatch):
    for name in ("data", "a:b", "a:b:c"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert path_and_set("data") == ("data", None)
    assert path_and_set("data:train") == ("data", "train")
    assert path_and_set("data:2007:train") == ("data", "2007:train")
    assert path_and_set("a:b") == ("a:b", None)
    assert path_and_set("a:b:c:val") == ("a:b:c", "val")
    assert path_and_set("a:b:d") == ("a:b", "d")
    whole = str(tmp_path / "data")
    assert path_and_set(f"{whole}:train") == (whole, "train")


def test_a_path_and_a_set_that_do_not_exist(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    for text in ("nowhere:train", "", ":train"):
        with pytest.raises(FileNotFoundError, match=f"{text}: no such file or folder"):
            path_and_set(text)
    with pytest.raises(ValueError, match="data:: expected the name of a set after the colon"):
        path_and_set("data:")
