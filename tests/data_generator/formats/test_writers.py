import json
from dataclasses import replace
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from multibox.data_generator import (
    DetectionDataset,
    Record,
    coco_categories,
    coco_image_ids,
    create_hdf5_dataset,
    load_coco,
    load_csv,
    load_hdf5,
    load_shapes,
    load_voc,
    read_image,
    save_coco,
    save_csv,
    save_voc,
)

CLASSES = ("dog", "sea cow", 'k"ü,h', "<a&b>", "7")
FLAGS = ("difficult", "truncated", "crowd")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of three pictures of different sizes and formats, one in a folder of its own."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "sub").mkdir()
    for name, size in (("a.jpg", (40, 60)), ("b.PNG", (80, 20)), ("sub/c.jpg", (30, 30))):
        cv2.imwrite(str(folder / name), np.full((*size, 3), 50, np.uint8))
    return folder


def record(pictures, name, image_id, boxes, labels, **flags):
    height, width = read_image(pictures / name).shape[:2]
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    flags = {flag: np.array(value, bool) for flag, value in flags.items()}
    return Record(image_id, str(pictures / name), width, height, boxes, np.array(labels, np.int32), **flags)


@pytest.fixture
def dataset(pictures):
    boxes = [[0, 0, 60, 40], [10.1, 5, 20.7, 6.25]]
    records = [
        record(pictures, "a.jpg", "007", boxes, [2, 4], difficult=[1, 0], truncated=[0, 1], crowd=[0, 1]),
        record(pictures, "b.PNG", "b", [], []),
    ]
    return DetectionDataset(CLASSES, records, "some")


def same(a, b):
    """Asserts that two data sets have equal annotations in the same order."""
    assert a.class_names == b.class_names
    assert [(r.image_id, r.width, r.height) for r in a] == [(r.image_id, r.width, r.height) for r in b]
    for x, y in zip(a, b, strict=True):
        assert y.boxes.dtype == np.float32
        for field in ("boxes", "labels", *FLAGS):
            np.testing.assert_array_equal(getattr(x, field), getattr(y, field), err_msg=field)


def via_voc(dataset, folder):
    save_voc(dataset, folder / "voc", progress=False)
    return load_voc(folder / "voc", [("", "train")], dataset.class_names, progress=False)


def via_coco(dataset, folder):
    save_coco(dataset, folder / "coco.json", folder)
    return load_coco(folder / "coco.json", folder, progress=False)


def via_csv(dataset, folder):
    save_csv(dataset, folder / "boxes.csv", folder)
    return load_csv(folder / "boxes.csv", folder, dataset.class_names, progress=False)


FORMATS = {"voc": via_voc, "coco": via_coco, "csv": via_csv}


def test_voc_files(dataset, tmp_path):
    save_voc(dataset, tmp_path / "v", "val", progress=False)
    files = sorted(
        p.relative_to(tmp_path / "v").as_posix() for p in (tmp_path / "v").rglob("*") if p.is_file()
    )
    assert files == [
        "Annotations/007.xml",
        "Annotations/b.xml",
        "ImageSets/Main/val.txt",
        "JPEGImages/007.jpg",
        "JPEGImages/b.png",
    ]
    assert (tmp_path / "v/ImageSets/Main/val.txt").read_text() == "007\nb\n"
    tree = ElementTree.parse(tmp_path / "v/Annotations/007.xml").getroot()
    assert tree.findtext("filename") == "007.jpg"
    assert [tree.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["60", "40", "3"]
    first, second = tree.findall("object")
    # Whole numbers stand without a point, as many readers expect them.
    assert [e.text for e in first.find("bndbox")] == ["1", "1", "60", "40"]
    assert [first.findtext(tag) for tag in ("name", *FLAGS)] == ["sea cow", "1", "0", None]
    assert [second.findtext(tag) for tag in ("name", *FLAGS)] == ["<a&b>", "0", "1", "1"]
    assert [float(e.text) for e in second.find("bndbox")] == [
        np.float64(np.float32(10.1)) + 1,
        6,
        np.float32(20.7),
        6.25,
    ]


def test_coco_files(dataset, pictures, tmp_path):
    save_coco(dataset, tmp_path / "new/c.json", pictures)
    content = json.loads((tmp_path / "new/c.json").read_text())
    assert content["images"] == [
        {"id": 1, "file_name": "a.jpg", "width": 60, "height": 40, "multibox_id": "007"},
        {"id": 2, "file_name": "b.PNG", "width": 20, "height": 80, "multibox_id": "b"},
    ]
    assert content["categories"][1:3] == [{"id": 2, "name": "sea cow"}, {"id": 3, "name": 'k"ü,h'}]
    first, second = content["annotations"]
    assert first == {
        "id": 1,
        "image_id": 1,
        "category_id": 2,
        "bbox": [0, 0, 60, 40],
        "area": 2400,
        "iscrowd": 0,
        "segmentation": [],
        "difficult": 1,
    }
    assert (second["id"], second["iscrowd"], second["truncated"]) == (2, 1, 1)
    assert second["bbox"] == pytest.approx([10.1, 5, 10.6, 1.25], abs=1e-5)
    assert second["area"] == pytest.approx(13.25, abs=1e-4)


def test_csv_files(dataset, pictures, tmp_path):
    save_csv(dataset, tmp_path / "c.csv", pictures)
    assert (tmp_path / "c.csv").read_text() == (
        "image,image_id,width,height,xmin,ymin,xmax,ymax,class,difficult,truncated,crowd\n"
        "a.jpg,007,60,40,0,0,60,40,sea cow,1,0,0\n"
        "a.jpg,007,60,40,10.1,5,20.7,6.25,<a&b>,0,1,1\n"
        "b.PNG,b,20,80,,,,,,,,\n"
    )


def test_coco_numbers_of_images(dataset, pictures):
    def numbers(*ids):
        return coco_image_ids(DetectionDataset(CLASSES, [replace(dataset[0], image_id=i) for i in ids]))

    assert numbers("397133", "9", "-5") == [397133, 9, -5]
    assert numbers("000007", "12") == [7, 12]
    assert numbers("7", "007") == [1, 2]
    assert numbers("7", "x") == [1, 2]
    assert numbers("1", "9" * 16) == [1, 2]
    assert numbers() == []


def test_coco_files_keep_their_ids_and_file_names(pictures, tmp_path):
    content = {
        "images": [
            {"id": 30, "file_name": "sub/c.jpg", "width": 30, "height": 30},
            {"id": 4, "file_name": "a.jpg", "width": 60, "height": 40},
        ],
        "annotations": [{"id": 1, "image_id": 4, "category_id": 18, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
        "categories": [{"id": 18, "name": "dog"}, {"id": 3, "name": "car"}],
    }
    original = tmp_path / "original.json"
    original.write_text(json.dumps(content))
    dataset = load_coco(original, pictures, progress=False)
    save_coco(dataset, tmp_path / "again.json", pictures, category_ids=coco_categories(original))
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["images"] == content["images"]
    assert again["categories"] == [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}]
    assert (again["annotations"][0]["image_id"], again["annotations"][0]["category_id"]) == (4, 18)
    assert again["annotations"][0]["bbox"] == [1, 2, 3, 4]


def test_impossible_category_ids(dataset, pictures, tmp_path):
    with pytest.raises(ValueError, match="category_ids has no id for 'sea cow', 'k\"ü,h'"):
        save_coco(dataset, tmp_path / "c.json", pictures, category_ids={"dog": 1, "<a&b>": 4, "7": 2})
    with pytest.raises(ValueError, match=r"category_ids must be different, got \[1, 1, 1, 1, 1\]"):
        save_coco(dataset, tmp_path / "c.json", pictures, category_ids=dict.fromkeys(CLASSES, 1))


@pytest.mark.parametrize("way", [("voc", "coco", "csv", "voc"), ("csv", "voc", "csv", "coco", "voc", "voc")])
def test_round_trips(dataset, pictures, tmp_path, way):
    result = dataset
    for i, name in enumerate(way):
        result = convert(name, result, pictures, tmp_path / str(i))
    same(dataset, result)
    np.testing.assert_array_equal(read_image(result[1].image), read_image(dataset[1].image))


def sides(limit):
    """Two different float32 numbers from 0 to limit, in order."""
    number = st.one_of(
        st.integers(0, limit).map(float),
        st.floats(2.0**-20, limit, width=32),
    )
    return st.lists(number, min_size=2, max_size=2, unique=True).map(sorted)


@st.composite
def random_datasets(draw, pictures):
    names = draw(st.lists(st.sampled_from(["a.jpg", "b.PNG", "sub/c.jpg"]), unique=True))
    texts = st.text("aZ09-_.ü", min_size=1, max_size=4).filter(lambda text: text not in (".", ".."))
    ids = draw(st.lists(texts, min_size=len(names), max_size=len(names), unique_by=str.lower))
    records = []
    for name, image_id in zip(names, ids, strict=True):
        height, width = read_image(pictures / name).shape[:2]
        count = draw(st.integers(0, 3))
        spans = [(draw(sides(width)), draw(sides(height))) for _ in range(count)]
        boxes = [(x[0], y[0], x[1], y[1]) for x, y in spans]
        labels = draw(st.lists(st.integers(1, len(CLASSES)), min_size=count, max_size=count))
        flags = {f: draw(st.lists(st.booleans(), min_size=count, max_size=count)) for f in FLAGS}
        records.append(record(pictures, name, image_id, boxes, labels, **flags))
    return DetectionDataset(CLASSES, records, "random")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_format_becomes_any_other(data, pictures, tmp_path_factory):
    dataset = data.draw(random_datasets(pictures))
    way = data.draw(st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, max_size=3))
    result = dataset
    for name in way:
        result = convert(name, result, pictures, tmp_path_factory.mktemp("way"))
    same(dataset, result)


def convert(name, dataset, pictures, folder):
    """Through one format, whose image folder is the one that has all images of the data set."""
    if name == "voc" and len(dataset):
        return via_voc(dataset, folder)
    if name == "voc":  # an empty list is a mistake for the reader
        with pytest.raises(ValueError, match=r"train\.txt: lists no images"):
            via_voc(dataset, folder)
        return dataset
    images = pictures
    if len(dataset) and not dataset[0].image.startswith(str(pictures)):
        images = dataset[0].image.split("JPEGImages")[0]
    if name == "coco":
        save_coco(dataset, folder / "c.json", images)
        return load_coco(folder / "c.json", images, progress=False)
    save_csv(dataset, folder / "c.csv", images)
    return load_csv(folder / "c.csv", images, dataset.class_names, progress=False)


def test_image_ids_with_folders(pictures, tmp_path):
    dataset = DetectionDataset(CLASSES, [record(pictures, "a.jpg", "x/y.z/a", [[1, 2, 3, 4]], [1])])
    for name in FORMATS:
        same(dataset, convert(name, dataset, pictures, tmp_path / name))
    assert (tmp_path / "voc/voc/JPEGImages/x/y.z/a.jpg").is_file()


def test_two_image_sets_in_one_folder(dataset, tmp_path):
    first, second = dataset.split(0.5)
    save_voc(first, tmp_path, "train", progress=False)
    save_voc(second, tmp_path, "val", progress=False)
    both = load_voc(tmp_path, [("", "train"), ("", "val")], CLASSES, progress=False)
    same(first + second, both)


def test_nothing_is_overwritten(dataset, pictures, tmp_path):
    save_voc(dataset, tmp_path / "v", progress=False)
    with pytest.raises(FileExistsError, match=r"ImageSets/Main/train\.txt exists already"):
        save_voc(dataset, tmp_path / "v", progress=False)
    with pytest.raises(FileExistsError, match=r"Annotations/007\.xml exists already"):
        save_voc(dataset, tmp_path / "v", "val", progress=False)
    assert not (tmp_path / "v/ImageSets/Main/val.txt").exists()
    for save, name in ((save_coco, "c.json"), (save_csv, "c.csv")):
        (tmp_path / name).write_text("mine")
        with pytest.raises(FileExistsError, match=rf"{name} exists already; it is not overwritten"):
            save(dataset, tmp_path / name, pictures)
        assert (tmp_path / name).read_text() == "mine"


def test_images_that_are_there_stay(dataset, pictures, tmp_path):
    target = tmp_path / "JPEGImages/007.jpg"
    target.parent.mkdir()
    target.write_bytes(b"another")
    with pytest.raises(FileExistsError, match=r"JPEGImages/007\.jpg exists already"):
        save_voc(dataset[:1], tmp_path, progress=False)
    target.unlink()
    target.hardlink_to(pictures / "a.jpg")
    save_voc(dataset[:1], tmp_path, progress=False)
    assert target.samefile(pictures / "a.jpg")


def test_images_that_the_reader_would_mistake(dataset, tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages/b.jpg").write_bytes(b"")
    with pytest.raises(FileExistsError, match=r"JPEGImages/b\.jpg exists already"):
        save_voc(dataset, tmp_path, progress=False)


def test_hard_links(dataset, tmp_path):
    save_voc(dataset, tmp_path / "copy", progress=False)
    copied = load_voc(tmp_path / "copy", [("", "train")], CLASSES, progress=False)
    save_voc(copied, tmp_path / "link", images="link", progress=False)
    for record in copied:
        name = record.image.rsplit("/", 1)[1]
        assert (tmp_path / "link/JPEGImages" / name).samefile(record.image)
    with pytest.raises(ValueError, match='images must be "copy" or "link", got None'):
        save_voc(dataset, tmp_path / "x", images=None)


def test_drawn_images_are_written_as_png(tmp_path):
    shapes = load_shapes(2, (40, 50))
    for name in FORMATS:
        result = FORMATS[name](shapes, tmp_path / name)
        same(shapes, result)
        np.testing.assert_array_equal(read_image(result[1].image), shapes[1].image())
    for save, file in ((save_coco, "x.json"), (save_csv, "x.csv")):
        with pytest.raises(ValueError, match="shapes-0-0: the image has no file; set image_folder"):
            save(shapes, tmp_path / file)
    save_csv(shapes, tmp_path / "again.csv", tmp_path / "csv")
    (tmp_path / "csv/shapes-0-1.png").write_bytes(b"another")
    with pytest.raises(FileExistsError, match=r"shapes-0-1\.png exists already"):
        save_csv(shapes, tmp_path / "third.csv", tmp_path / "csv")


def test_names_of_images_without_folder(dataset, pictures, tmp_path):
    save_csv(dataset, tmp_path / "c.csv")
    same(dataset, load_csv(tmp_path / "c.csv", pictures, CLASSES, progress=False))
    twice = DetectionDataset(
        CLASSES, [dataset[0], replace(dataset[0], image_id="8", image="/other/a.jpg")], "d"
    )
    with pytest.raises(ValueError, match=r"d: two images would have the name 'a\.jpg'; set image_folder"):
        save_coco(twice, tmp_path / "c.json")
    with pytest.raises(ValueError, match=r"8: the image /other/a\.jpg is not in the folder .*pictures"):
        save_coco(twice, tmp_path / "c.json", pictures)


def test_image_ids_that_are_there_twice(dataset, tmp_path):
    twice = DetectionDataset(CLASSES, [*dataset, dataset[0]], "twice")
    for save in (save_voc, save_coco, save_csv):
        with pytest.raises(ValueError, match="twice: 1 image ids occur more than once, first '007'"):
            save(twice, tmp_path / "x")


@pytest.mark.parametrize("image_id", ["../x", "/x", "a\\b", "", "c:x"])
def test_image_ids_cannot_leave_the_folder(dataset, tmp_path, image_id):
    bad = DetectionDataset(CLASSES, [replace(dataset[0], image_id=image_id)])
    with pytest.raises(ValueError, match=r"save_voc: an image id must be a path .* stays inside its folder"):
        save_voc(bad, tmp_path / "v")
    drawn = DetectionDataset(CLASSES, [replace(dataset[0], image_id=image_id, image=lambda: None)])
    with pytest.raises(ValueError, match=r"image id must be a path .* stays inside its folder"):
        save_coco(drawn, tmp_path / "c.json", tmp_path / "images")
    assert not list(tmp_path.iterdir())


def test_the_name_of_an_image_set_cannot_leave_the_folder(dataset, tmp_path):
    with pytest.raises(ValueError, match="save_voc: image_set must be a path"):
        save_voc(dataset, tmp_path, "../train")


@pytest.mark.parametrize("text", ["a\n", " a", "a\0b", "a\x85b", "\ud800"])
def test_texts_that_readers_would_not_get_back(dataset, pictures, tmp_path, text):
    bad_id = DetectionDataset(CLASSES, [replace(dataset[0], image_id=f"{text}a")])
    with pytest.raises(ValueError, match="save_csv: an image id must not be empty, start or end with spaces"):
        save_csv(bad_id, tmp_path / "c.csv", pictures)
    with pytest.raises(ValueError, match="class_names: "):  # refused when the data set is made
        DetectionDataset((*CLASSES[:4], text), dataset.records)
    assert not list(tmp_path.iterdir())


def test_image_ids_that_lists_cannot_hold(dataset, tmp_path):
    bad = DetectionDataset(CLASSES, [replace(dataset[0], image_id='"a')])
    with pytest.raises(ValueError, match="save_voc: an image id must not start with a quotation mark"):
        save_voc(bad, tmp_path)
    spaces = DetectionDataset(CLASSES, [replace(dataset[0], image_id=f"my image{i}") for i in (" -1", "  1")])
    save_voc(spaces, tmp_path, progress=False)
    same(spaces, load_voc(tmp_path, "train", CLASSES, progress=False))


def test_image_formats_that_the_reader_does_not_know(dataset, tmp_path):
    bad = DetectionDataset(CLASSES, [replace(dataset[0], image="x/a.gif")])
    with pytest.raises(ValueError, match=r"save_voc: x/a\.gif: expected an image of \.jpg"):
        save_voc(bad, tmp_path)


def test_a_missing_image_leaves_no_image_set(dataset, tmp_path):
    bad = DetectionDataset(CLASSES, [dataset[0], replace(dataset[1], image="/nowhere/b.jpg")])
    with pytest.raises(FileNotFoundError, match=r"/nowhere/b\.jpg"):
        save_voc(bad, tmp_path, progress=False)
    names = [p.name for p in tmp_path.rglob("*") if p.is_file()]
    assert sorted(names) == ["007.jpg", "007.xml"]


def test_an_interrupted_file_does_not_appear(dataset, pictures, tmp_path, monkeypatch):
    def broken(record, class_names):
        raise KeyboardInterrupt

    monkeypatch.setattr("multibox.data_generator.formats.csv_file._csv_objects", broken)
    with pytest.raises(KeyboardInterrupt):
        save_csv(dataset, tmp_path / "c.csv", pictures)
    assert not list(tmp_path.iterdir())


def test_real_voc_through_coco(voc_mini, tmp_path):
    coco_api = pytest.importorskip("pycocotools.coco")
    voc = load_voc(voc_mini.parent, [("2007", "train")], progress=False)[:50]
    images = voc[0].image.rsplit("/", 1)[0]
    save_coco(voc, tmp_path / "c.json", images)
    loaded = load_coco(tmp_path / "c.json", images, progress=False)
    same(voc, loaded)
    assert [r.image for r in loaded] == [r.image for r in voc]
    save_voc(loaded, tmp_path / "v", images="copy", progress=False)
    same(voc, load_voc(tmp_path / "v", [("", "train")], voc.class_names, progress=False))

    api = coco_api.COCO(str(tmp_path / "c.json"))
    assert [api.loadCats(i)[0]["name"] for i in api.getCatIds()] == list(voc.class_names)
    record, number = voc[3], coco_image_ids(voc)[3]
    annotations = api.loadAnns(api.getAnnIds(imgIds=[number]))
    assert [a["category_id"] for a in annotations] == record.labels.tolist()
    x, y, width, height = np.array([a["bbox"] for a in annotations]).T
    np.testing.assert_allclose(np.stack([x, y, x + width, y + height], 1), record.boxes)
    assert sum(len(api.getAnnIds(imgIds=[i])) for i in api.getImgIds()) == sum(voc.class_counts().values())


def test_a_picture_annotated_as_stored_stays_so_by_way_of_hdf5(tmp_path):
    """Its EXIF orientation would turn it; the pixels that are written must be those of the boxes."""
    pixels = np.full((40, 60, 3), 128, np.uint8)
    pixels[:20, :30] = (250, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=95, exif=exif)
    box, label = np.array([[0, 0, 30, 20]], np.float32), np.array([1])
    stored = DetectionDataset(("red",), [Record("a", str(tmp_path / "a.jpg"), 60, 40, box, label)])
    create_hdf5_dataset(stored, tmp_path / "data.h5", progress=False)
    save_voc(load_hdf5(tmp_path / "data.h5"), tmp_path / "voc", progress=False)
    (record,) = load_voc(tmp_path / "voc", [("", "train")], ("red",), progress=False)
    image = read_image(record.image, size=(record.width, record.height))
    np.testing.assert_allclose(image[2:18, 2:28].mean(axis=(0, 1)), (250, 0, 0), atol=5)
