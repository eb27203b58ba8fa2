import cv2
import numpy as np
import pytest

from multibox.data_generator import VOC_CLASSES, load_voc
from multibox.data_generator.formats.voc import scan_voc

OBJECT = """<object><name>{name}</name>{flags}<bndbox>
<xmin>{b[0]}</xmin><ymin>{b[1]}</ymin><xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox>
<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part></object>"""
SIZE = "<size><width>60</width><height>40</height><depth>3</depth></size>"


def item(name="dog", b=(11, 6, 30, 25), flags="<truncated>1</truncated><difficult>0</difficult>"):
    return OBJECT.format(name=name, b=b, flags=flags)


@pytest.fixture
def devkit(tmp_path):
    """A devkit with one image "a" of 60 x 40; call it with the content of the annotation to change it."""
    root = tmp_path / "VOC2007"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Main/train.txt").write_text("a\n\n")
    cv2.imwrite(str(root / "JPEGImages/a.jpg"), np.zeros((40, 60, 3), np.uint8))

    def annotate(content):
        (root / "Annotations/a.xml").write_text(f"<annotation>{content}</annotation>")
        return tmp_path

    annotate(SIZE + item())
    return annotate


def load(folder):
    return load_voc(folder, [("2007", "train")], progress=False)


def test_fields(devkit):
    folder = devkit(
        SIZE + item() + item("person", (1, 1, 60, 40), "<difficult>1</difficult><crowd>1</crowd>")
    )
    record = load(folder)[0]
    assert (record.image_id, record.width, record.height) == ("a", 60, 40)
    # 1-based inclusive to continuous: the whole image is 0, 0, 60, 40.
    np.testing.assert_array_equal(record.boxes, [[10, 5, 30, 25], [0, 0, 60, 40]])
    assert [VOC_CLASSES[i - 1] for i in record.labels] == ["dog", "person"]
    np.testing.assert_array_equal(record.difficult, [False, True])
    np.testing.assert_array_equal(record.truncated, [True, False])
    np.testing.assert_array_equal(record.crowd, [False, True])


def test_optional_fields_may_be_absent(devkit):
    for size in ("", "<size><width>0</width><height>0</height></size>"):
        record = load(devkit(size + item(flags="")))[0]
        assert (record.width, record.height) == (60, 40)
        assert not record.difficult.any()
        assert not record.truncated.any()


def test_images_without_objects(devkit):
    record = load(devkit(SIZE))[0]
    assert record.boxes.shape == (0, 4)
    assert record.labels.shape == record.difficult.shape == (0,)


def test_bad_boxes_are_treated_counted_and_reported_once(devkit):
    folder = devkit(SIZE + item(b=(30, 6, 11, 25)) + item(b=(70, 6, 80, 25)) + item(b=(51, 31, 61, 40)))
    with pytest.warns(
        UserWarning, match="1 without area, dropped .* 1 outside .* 1 partly outside"
    ) as caught:
        record = load(folder)[0]
    assert len(caught) == 1
    np.testing.assert_array_equal(record.boxes, [[50, 30, 60, 40]])
    assert record.labels.shape == (1,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (SIZE + item("unicorn"), r"unknown class 'unicorn' \(1, first in .*a\.xml\).*aeroplane"),
        (SIZE + item(b=("x", 6, 30, 25)), r"a\.xml: <xmin> must be a number below 1e6, got 'x'"),
        (SIZE + item(b=(1, "nan", 30, 25)), r"a\.xml: <ymin> must be a number"),
        (SIZE + item(b=(1, 1, "inf", 25)), r"a\.xml: <xmax> must be a number"),
        (SIZE + item(b=(1, 1, "1e30", 25)), r"a\.xml: <xmax> must be a number"),
        (SIZE + "<object><name>dog</name></object>", r"a\.xml: the object 'dog' has no <bndbox>"),
        (SIZE + "<object><name>dog</name><bndbox/></object>", r"a\.xml: a <bndbox> has no <xmin>"),
        ("<size><width>5</width></size>", r"a\.xml: a <size> has no <height>"),
        (
            "<size><width>5.5</width><height>4</height></size>",
            r"a\.xml: width and height must be whole pixels",
        ),
        (SIZE + "<object>", r"a\.xml: not a readable XML file"),
    ],
)
def test_broken_annotations_name_file_and_field(devkit, content, message):
    with pytest.raises(ValueError, match=message):
        load(devkit(content))


def test_entities_are_not_expanded(devkit):
    folder = devkit("")
    bomb = '<!DOCTYPE a [<!ENTITY b "dog">]><annotation><object><name>&b;</name></object></annotation>'
    (folder / "VOC2007/Annotations/a.xml").write_text(bomb)
    with pytest.raises(ValueError, match=r"a\.xml: not a readable XML file: EntitiesForbidden"):
        load(folder)


@pytest.mark.parametrize("missing", ["Annotations/a.xml", "JPEGImages/a.jpg"])
def test_an_image_set_that_lists_a_missing_file(devkit, missing):
    folder = devkit(SIZE)
    (folder / "VOC2007" / missing).unlink()
    with pytest.raises(FileNotFoundError, match=r"Main.train\.txt"):
        load(folder)


def test_missing_image_set_and_folder(devkit, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"val\.txt; there are: train"):
        load_voc(devkit(SIZE), [("2007", "val")], progress=False)
    with pytest.raises(FileNotFoundError, match=r"VOC2012: expected the folders Annotations"):
        load_voc(tmp_path, [("2012", "train")], progress=False)


@pytest.mark.parametrize("name", ["../secret", "/x", "x/../../y", "x\\y", "c:x"])
def test_image_ids_cannot_leave_the_folder(devkit, name):
    folder = devkit(SIZE)
    (folder / "VOC2007/ImageSets/Main/train.txt").write_text(name)
    with pytest.raises(
        ValueError, match=r"train\.txt: an image id must be a path .* stays inside its folder"
    ):
        load(folder)


def test_image_ids_may_contain_folders(devkit):
    folder = devkit(SIZE)
    root = folder / "VOC2007"
    (root / "Annotations/b").mkdir()
    (root / "Annotations/b/c.xml").write_text(f"<annotation>{SIZE}{item()}</annotation>")
    (root / "JPEGImages/b").mkdir()
    (root / "JPEGImages/a.jpg").rename(root / "JPEGImages/b/c.jpg")
    (root / "ImageSets/Main/train.txt").write_text("b/c\n")
    record = load(folder)[0]
    assert record.image_id == "b/c"
    assert record.image.endswith("JPEGImages/b/c.jpg")


def test_files_as_other_tools_write_them(devkit):
    """Suffix in capitals, a byte order mark, an empty flag."""
    folder = devkit(SIZE + item(flags="<difficult/>"))
    root = folder / "VOC2007"
    (root / "JPEGImages/a.jpg").rename(root / "JPEGImages/a.JPG")
    (root / "ImageSets/Main/train.txt").write_text("a\n", encoding="utf-8-sig")
    record = load(folder)[0]
    assert record.image.endswith("a.JPG")
    assert not record.difficult.any()


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".png", ".bmp", ".webp"])
def test_image_suffixes(devkit, suffix):
    folder = devkit("")
    (folder / "VOC2007/JPEGImages/a.jpg").unlink()
    cv2.imwrite(str(folder / f"VOC2007/JPEGImages/a{suffix}"), np.zeros((40, 60, 3), np.uint8))
    record = load(folder)[0]
    assert record.image.endswith(f"a{suffix}")
    assert (record.width, record.height) == (60, 40)


def test_the_set_of_one_class_leaves_out_images_without_it(devkit):
    folder = devkit(SIZE + item())
    (folder / "VOC2007/ImageSets/Main/dog_train.txt").write_text("b -1\na  1\n")
    dataset = load_voc(folder, [("2007", "dog_train")], progress=False)
    assert [r.image_id for r in dataset] == ["a"]


def test_an_image_listed_twice(devkit):
    folder = devkit(SIZE)
    (folder / "VOC2007/ImageSets/Main/train.txt").write_text("a\na\n")
    errors = []
    once = list(scan_voc(folder, [("2007", "train")], on_error=errors.append, progress=False))
    assert [annotation.image_id for annotation in once] == ["a"]
    assert "lists 1 images more than once" in str(errors[0])
    with pytest.raises(ValueError, match=r"train\.txt: lists 1 images more than once, first 'a'"):
        load(folder)


def test_sets_that_share_an_image(devkit):
    folder = devkit(SIZE)
    (folder / "VOC2007/ImageSets/Main/both.txt").write_text("a\n")
    with pytest.raises(ValueError, match=r"a\.xml: .* have the same image id 'a'"):
        load_voc(folder, [("2007", "train"), ("2007", "both")], progress=False)


def test_arguments_of_a_wrong_kind(devkit):
    for classes in ("dog", {"dog"}):
        with pytest.raises(TypeError, match="load_voc: classes must be a sequence"):
            load_voc(devkit(SIZE), [("2007", "train")], classes=classes)
    with pytest.raises(
        FileNotFoundError, match="folder is itself in VOC layout: pass only the name of the set"
    ):
        load_voc(devkit(SIZE) / "VOC2007", [("2007", "train")])
    for image_sets in (("2007", "train"), [("2007",)]):
        with pytest.raises(TypeError, match="load_voc: image_sets must be a"):
            load_voc(devkit(SIZE), image_sets)


def test_a_folder_that_is_itself_in_voc_layout(devkit):
    folder = devkit(SIZE + item("cell"))
    dataset = load_voc(folder / "VOC2007", [("", "train")], classes=("cell",), progress=False)
    assert repr(dataset) == "<VOC train: 1 images, 1 objects of 1 classes (1 truncated)>"


def test_real_voc(voc_mini):
    dataset = load_voc(voc_mini.parent, [("2007", "train"), ("2007", "val")], progress=False)
    assert repr(dataset) == (
        "<VOC 2007 train+2007 val: 1500 images, 4499 objects of 20 classes (868 difficult, 2267 truncated)>"
    )


def test_a_folder_of_ones_own_takes_the_name_of_a_set(devkit):
    folder = devkit(SIZE + item("robot") + item("cup")) / "VOC2007"
    data = load_voc(folder, "train", progress=False)
    assert data.class_names == ("cup", "robot")
    assert data[0].labels.tolist() == [2, 1]
    assert load_voc(folder, "train", ("robot", "cup"), progress=False)[0].labels.tolist() == [1, 2]
    pairs = load_voc(folder, [("", "train")], ("robot", "cup"), progress=False)
    np.testing.assert_array_equal(pairs[0].boxes, data[0].boxes)


def test_all_sets_of_a_folder_have_the_same_classes(devkit):
    """Also those that hold no object of some class."""
    folder = devkit(SIZE + item("robot")) / "VOC2007"
    (folder / "Annotations/b.xml").write_text(f"<annotation>{SIZE}{item('cup')}</annotation>")
    (folder / "Annotations/broken.xml").write_text("<annotation>")
    assert load_voc(folder, "train", progress=False).class_names == ("cup", "robot")


def test_a_folder_without_objects_needs_classes(devkit):
    folder = devkit(SIZE) / "VOC2007"
    with pytest.raises(ValueError, match=r"no annotation in .*Annotations has an object; pass classes"):
        load_voc(folder, "train", progress=False)
    assert load_voc(folder, "train", ("a",), progress=False).num_classes == 1
