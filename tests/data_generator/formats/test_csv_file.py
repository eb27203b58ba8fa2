import os

import cv2
import numpy as np
import pytest

from multibox.data_generator import load_csv
from multibox.data_generator.formats import csv_reader
from multibox.data_generator.formats.csv_file import scan_csv

HEADER = "image,xmin,ymin,xmax,ymax,class\n"


@pytest.fixture
def write(tmp_path):
    """Writes a text and returns file and image folder, with images of 60 x 40 and 30 x 20."""
    (tmp_path / "images/sub").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "images/a.jpg"), np.zeros((40, 60, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "images/sub/b.png"), np.zeros((20, 30, 3), np.uint8))

    def write(text, encoding="utf-8"):
        (tmp_path / "boxes.csv").write_bytes(text.encode(encoding))
        return tmp_path / "boxes.csv", tmp_path / "images"

    return write


def load(paths, **options):
    return load_csv(*paths, progress=False, **options)


def test_fields(write):
    paths = write(
        "Label,XMin,XMax,YMin,YMax,Filename,note,width,height,difficult,Truncated,crowd\n"
        "dog,1.5,11,2,22,a.jpg,x,60,40,1,,0\n"
        "cat, 0 ,30,0,20,sub/b.png,,30,20,False,true,NO\n"
        'dog,3,4,5,6,a.jpg,"two\nlines, quoted",60,40,0,0,1\n'
    )
    dataset = load(paths, classes=["dog", "cat"])
    first, second = dataset
    assert (first.image_id, first.width, first.height) == ("a", 60, 40)
    assert first.image == str(paths[1] / "a.jpg")
    np.testing.assert_array_equal(first.boxes, [[1.5, 2, 11, 22], [3, 5, 4, 6]])
    np.testing.assert_array_equal(first.labels, [1, 1])
    np.testing.assert_array_equal(first.difficult, [True, False])
    np.testing.assert_array_equal(first.truncated, [False, False])
    np.testing.assert_array_equal(first.crowd, [False, True])
    assert (second.image_id, second.width, second.height) == ("sub/b", 30, 20)
    np.testing.assert_array_equal(second.labels, [2])
    np.testing.assert_array_equal(second.truncated, [True])
    assert not second.difficult.any()
    assert repr(dataset).startswith("<CSV boxes: 2 images, 3 objects of 2 classes")


@pytest.mark.parametrize("image", ["image", "image_name", "filename", "file_name", "frame", "path", "FRAME"])
@pytest.mark.parametrize("name", ["class", "class_name", "label", "class_id", " Class"])
def test_names_of_columns(write, image, name):
    record = load(write(f"ymax,{name},xmin,{image},ymin,xmax\n4,dog,1,a.jpg,2,3\n"))[0]
    np.testing.assert_array_equal(record.boxes, [[1, 2, 3, 4]])


def test_the_first_name_counts_where_several_are_there(write):
    paths = write("path,class_id,xmin,ymin,xmax,ymax,filename,class_name\n/x/y.jpg,0,1,2,3,4,a.jpg,dog\n")
    dataset = load(paths)
    assert dataset.class_names == ("dog",)
    assert dataset[0].image_id == "a"


def test_the_order_of_ssd_keras_without_header(write):
    columns = ["image_name", "class_id", "xmin", "xmax", "ymin", "ymax"]
    dataset = load(write("a.jpg,2,1,3,2,4\n"), classes=("cat", "dog"), columns=columns)
    np.testing.assert_array_equal(dataset[0].boxes, [[1, 2, 3, 4]])
    np.testing.assert_array_equal(dataset[0].labels, [2])


def test_sizes_are_read_from_the_image_where_absent(write):
    for text in (
        HEADER + "a.jpg,1,2,3,4,dog\n",
        "width,height," + HEADER + ",,a.jpg,1,2,3,4,dog\n",
        "width,height," + HEADER + "0,0,a.jpg,1,2,3,4,dog\n",
    ):
        record = load(write(text))[0]
        assert (record.width, record.height) == (60, 40)


def test_images_without_objects(write):
    dataset = load(write(HEADER + "a.jpg,,,,,\n\nsub/b.png,1,2,3,4,dog\nsub/b.png,,,,,\n"))
    assert [r.boxes.shape for r in dataset] == [(0, 4), (1, 4)]
    assert dataset.class_names == ("dog",)


def test_order_of_images_is_that_of_their_first_lines(write):
    text = HEADER + "sub/b.png,1,2,3,4,dog\na.jpg,1,2,3,4,dog\nsub/b.png,5,6,7,8,dog\n"
    dataset = load(write(text))
    assert [r.image_id for r in dataset] == ["sub/b", "a"]
    np.testing.assert_array_equal(dataset[0].boxes, [[1, 2, 3, 4], [5, 6, 7, 8]])


def test_a_column_of_image_ids(write):
    dataset = load(write("image_id," + HEADER + "x/7,a.jpg,1,2,3,4,dog\n"))
    assert dataset[0].image_id == "x/7"


def test_files_as_spreadsheets_write_them(write):
    """A byte order mark, line ends of Windows, letters beyond ASCII."""
    dataset = load(write(HEADER.replace("\n", "\r\n") + "a.jpg,1,2,3,4,Kühe\r\n", "utf-8-sig"))
    assert dataset.class_names == ("Kühe",)


@pytest.mark.parametrize(
    ("values", "classes", "names", "labels"),
    [
        (("dog", "cat"), None, ("cat", "dog"), [2, 1]),
        (("10", "9"), None, ("9", "10"), [2, 1]),
        (("2", "1"), ("cat", "dog"), ("cat", "dog"), [2, 1]),
        (("2", "1"), ("3", "2", "1"), ("3", "2", "1"), [2, 3]),  # digits that are names
    ],
)
def test_classes(write, values, classes, names, labels):
    dataset = load(write(HEADER + "".join(f"a.jpg,1,2,3,4,{v}\n" for v in values)), classes=classes)
    assert dataset.class_names == names
    np.testing.assert_array_equal(dataset[0].labels, labels)


@pytest.mark.parametrize("value", ["0", "3", "-1", "999999999"])
def test_labels_out_of_range(write, value):
    paths = write(HEADER + f"a.jpg,1,2,3,4,1\na.jpg,1,2,3,4,{value}\n")
    message = rf"boxes\.csv, line 3: the class must be .* labels 1\.\.2 .*0 is background.* got '{value}'"
    with pytest.raises(ValueError, match=message):
        load(paths, classes=("cat", "dog"))


def test_unknown_classes(write):
    paths = write(HEADER + "a.jpg,1,2,3,4,dog\nsub/b.png,1,2,3,4,cow\n")
    with pytest.raises(ValueError, match=r"unknown class 'cow' \(1, first in .*boxes\.csv, line 3\)"):
        load(paths, classes=["dog"])
    paths = write(HEADER + "a.jpg,1,2,3,4,2\na.jpg,1,2,3,4,1\n")  # one is a name, so none is a label
    with pytest.raises(ValueError, match="unknown class '1'"):
        load(paths, classes=["2", "4"])
    with pytest.raises(TypeError, match="load_csv: classes must be a sequence"):
        load(paths, classes="dog")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.jpg,x,2,3,4,dog", "line 3: xmin must be a number below 1e6, got 'x'"),
        ("a.jpg,1,nan,3,4,dog", "line 3: ymin must be a number below 1e6, got 'nan'"),
        ("a.jpg,1,2,-inf,4,dog", "line 3: xmax must be a number below 1e6, got '-inf'"),
        ("a.jpg,1,2,3,1e6,dog", "line 3: ymax must be a number below 1e6, got '1e6'"),
        ("a.jpg,,2,3,4,dog", "line 3: xmin must be a number below 1e6, got ''"),
        ("a.jpg,1_0,2,30,4,dog", "line 3: xmin must be a number below 1e6, got '1_0'"),
        ("a.jpg,\uff11\uff10,2,30,4,dog", "line 3: xmin must be a number below 1e6, got '\uff11\uff10'"),
        ("a.jpg,1,2,3,4,d\0g", r"line 3: class must not contain control characters, got 'd\\x00g'"),
        ("a.jpg,1,2,3,4,", "line 3: the class is empty, but there is a box"),
        ("a.jpg,1,2,3,4", "line 3: has 5 fields, but there are 6 columns"),
        ("a.jpg,1,2,3,4,dog,7", "line 3: has 7 fields, but there are 6 columns"),
        ('a.jpg,1,2,3,4,"dog', "not a readable CSV file in UTF-8: unexpected end of data"),
        (
            f"a.jpg,1,2,3,4,{'x' * 200_000}",
            r"not a readable CSV file in UTF-8: field larger than field limit \(131072\)",
        ),
        ("../c.jpg,1,2,3,4,dog", r"line 3: no image '\.\./c\.jpg' in .*images"),
        (",1,2,3,4,dog", "line 3: expected the name of an image, got ''"),
    ],
)
def test_broken_lines_are_named(write, line, message):
    with pytest.raises((ValueError, OSError), match=rf"boxes\.csv[,:] {message}"):
        load(write(HEADER + "a.jpg,1,2,3,4,dog\n" + line + "\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "difficult," + HEADER + "maybe,a.jpg,1,2,3,4,dog\n",
            "line 2: difficult must be a number .* got 'maybe'",
        ),
        (
            "width,height," + HEADER + "60,40,a.jpg,1,2,3,4,dog\n60,41,a.jpg,1,2,3,4,dog\n",
            "line 3: height is '41', but in line 2 of the same image '40'",
        ),
        ("width,height," + HEADER + "sixty,40,a.jpg,1,2,3,4,dog\n", "line 2: width must be a number"),
        ("width,height," + HEADER + "60,40.5,a.jpg,1,2,3,4,dog\n", "line 2: width and height must be whole"),
        (
            "width,height," + HEADER + "60,-40,a.jpg,1,2,3,4,dog\n",
            "line 2: width and height must not be negative, got 60 and -40",
        ),
        (
            "image_id," + HEADER + "7,a.jpg,1,2,3,4,dog\n7,sub/b.png,1,2,3,4,dog\n",
            r"line 3: .*a\.jpg and .*b\.png have the same image id '7'",
        ),
        (
            "image_id," + HEADER + "7,a.jpg,1,2,3,4,dog\n8,a.jpg,1,2,3,4,dog\n",
            "line 3: image_id is '8', but in line 2 of the same image '7'",
        ),
    ],
)
def test_fields_that_contradict_each_other(write, text, message):
    with pytest.raises(ValueError, match=rf"boxes\.csv, {message}"):
        load(write(text))


def test_missing_columns(write):
    paths = write("picture,xmin,ymin,xmax,label\na.jpg,1,2,3,dog\n")
    message = (
        r"boxes\.csv: no column for the image \(.*\), the box \(such as xmin.*\); there are: picture, xmin, "
        r"ymin, xmax, label\. Rename them, or pass other names as `columns`"
    )
    with pytest.raises(ValueError, match=message):
        load(paths)
    with pytest.raises(ValueError, match=r"no column .*image.* box .*class .*there are: none"):
        load(write(""))
    with pytest.raises(TypeError, match="load_csv: columns must be a sequence"):
        load(paths, columns="image")


def test_missing_files(write, tmp_path):
    path, folder = write(HEADER + "c.jpg,1,2,3,4,dog\n")
    with pytest.raises(FileNotFoundError, match=r"boxes\.csv, line 2: no image 'c\.jpg' in .*images"):
        load((path, folder))
    with pytest.raises(FileNotFoundError, match=r"no image folder .*elsewhere"):
        load((path, tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        load((tmp_path / "none.csv", folder))


def test_a_file_that_is_no_text(write):
    path, folder = write(HEADER)
    path.write_bytes(b"image,\xff\n")
    with pytest.raises(ValueError, match=r"boxes\.csv: not a readable CSV file in UTF-8: .*utf-8"):
        load((path, folder))


def test_bad_boxes_are_treated_and_reported(write):
    paths = write(HEADER + "a.jpg,5,2,3,4,dog\na.jpg,1,2,3,4,dog\n")
    with pytest.warns(UserWarning, match=r"load_csv.*1 without area, dropped \(first a: \[5"):
        assert len(load(paths)[0].labels) == 1


def test_scan_collects_errors_and_goes_on(write):
    text = HEADER + "gone.jpg,1,2,3,4,dog\na.jpg,1,2,3,4,dog\na.jpg,1,2\nsub/b.png,1,2,x,4,dog\n"
    errors = []
    annotations = list(scan_csv(*write(text), on_error=errors.append, progress=False))
    assert [(a.image_id, a.names, a.size) for a in annotations] == [("a", ("dog",), None)]
    assert [type(e) for e in errors] == [ValueError, FileNotFoundError, ValueError]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(write, separator):
    text = (HEADER + '"a.jpg",1,2,3,4,dog\n').replace(",", separator)
    for options in ({}, {"separator": separator}):
        np.testing.assert_array_equal(load(write(text), **options)[0].boxes, [[1, 2, 3, 4]])
    columns = ["image", "xmin", "ymin", "xmax", "ymax", "class"]
    without_header = write(text.split("\n", 1)[1])
    np.testing.assert_array_equal(load(without_header, columns=columns)[0].boxes, [[1, 2, 3, 4]])


def test_other_separators(write):
    with pytest.raises(ValueError, match=r"load_csv: separator must be one of .* got ' '"):
        load(write(HEADER), separator=" ")
    with pytest.raises(ValueError, match="no column"):  # it is not guessed again
        load(write(HEADER), separator=";")


def test_columns_overrule_a_header(write):
    columns = ["image", "xmin", "xmax", "ymin", "ymax", "class"]
    header = "frame,a,b,c,d,class_id\n"
    for text in ("a.jpg,1,3,2,4,7\n", header + "a.jpg,1,3,2,4,7\n"):
        dataset = load(write(text), columns=columns)
        np.testing.assert_array_equal(dataset[0].boxes, [[1, 2, 3, 4]])
    with pytest.raises(ValueError, match="line 1: xmin must be a number below 1e6, got 'x'"):
        load(write("a.jpg,x,3,2,4,7\n"), columns=columns)  # one number makes it data
    assert len(load(write("a.jpg,,,,,\nsub/b.png,1,3,2,4,7\n"), columns=columns)) == 2


def test_lines_of_keras_retinanet(write):
    dataset = load(write("a.jpg,1,2,3,4,dog\nsub/b.png,,,,,\n"))
    assert dataset.class_names == ("dog",)
    np.testing.assert_array_equal(dataset[0].boxes, [[1, 2, 3, 4]])
    assert len(dataset[1].labels) == 0
    message = (
        r"no column .* there are: a\.jpg, 1, 3, 2, 4, 7\. The first line looks like data: pass .* `columns`"
    )
    with pytest.raises(ValueError, match=message):
        load(write("a.jpg,1,3,2,4,7\n"))


def test_a_wrong_header_stops(write):
    """The order of ssd_keras under a header of corners in another order: some boxes seem to be right."""
    rng = np.random.default_rng(0)
    low, size = rng.integers(0, 12, (20, 2)), rng.integers(4, 8, (20, 2))
    lines = [f"a.jpg,{x},{x + w},{y},{y + h},dog\n" for (x, y), (w, h) in zip(low, size, strict=True)]
    with pytest.raises(ValueError, match=r"dropped\. A maximum below its minimum usually means that columns"):
        load(write(HEADER + "".join(lines)))
    with pytest.warns(UserWarning, match="without area"):
        assert len(load(write(HEADER + "".join(lines)), max_dropped=1)[0].labels) < 20


def test_relative_boxes(write):
    text = HEADER + "a.jpg,0.1,0.25,0.5,0.75,dog\n" * 5
    with pytest.raises(ValueError, match=r"all 5 boxes lie within 0\.\.1 .* relative=True"):
        load(write(text))
    dataset = load(write(text), relative=True)
    np.testing.assert_array_equal(dataset[0].boxes, [[6, 10, 30, 30]] * 5)


def test_lines_with_a_class_but_no_box(write):
    text = HEADER + "a.jpg,,,,,nothing\nsub/b.png,1,2,3,4,dog\n"
    with pytest.warns(UserWarning, match=r"boxes\.csv: 1 lines have a class but no box, first line 2"):
        dataset = load(write(text))
    assert dataset.class_names == ("dog",)
    assert [len(record.labels) for record in dataset] == [0, 1]


@pytest.mark.parametrize("name", [r"C:\Users\me\images\a.jpg", "/home/me/a.jpg", "../other/a.JPG", "a.jpeg"])
def test_names_of_other_computers(write, name):
    paths = write(HEADER + f"{name},1,2,3,4,dog\nsub\\b.png,1,2,3,4,dog\n")
    if name == "a.jpeg":  # only another suffix
        dataset = load(paths)
    else:
        with pytest.warns(
            UserWarning, match=r"boxes\.csv: 1 of 2 images were found by their file names only"
        ):
            dataset = load(paths)
    assert [record.image for record in dataset] == [str(paths[1] / "a.jpg"), str(paths[1] / "sub/b.png")]
    assert [record.image_id for record in dataset] == ["a", "sub/b"]


def test_the_folder_of_the_file(write):
    path, _ = write(HEADER + "images/a.jpg,1,2,3,4,dog\n")
    dataset = load((path,))
    assert dataset[0].image_id == "images/a"
    path.write_text(HEADER + "c.jpg,1,2,3,4,dog\n")
    with pytest.raises(FileNotFoundError, match=r"line 2: no image 'c\.jpg' in .*; pass .* as image_folder$"):
        load((path,))


def test_labels_as_pandas_writes_them(write):
    paths = write(HEADER + "a.jpg,1,2,3,4,2.0\na.jpg,1,2,3,4,1.0\nsub/b.png,,,,,\n")
    assert load(paths).class_names == ("1", "2")
    np.testing.assert_array_equal(load(paths, classes=["cat", "dog"])[0].labels, [2, 1])
    with pytest.raises(ValueError, match=r"unknown class '1\.5'"):
        load(write(HEADER + "a.jpg,1,2,3,4,1.5\n"), classes=["cat", "dog"])


def test_a_file_without_any_class(write):
    with pytest.raises(ValueError, match=r"load_csv\('.*boxes\.csv'\): no object has a class"):
        load(write(HEADER + "a.jpg,,,,,\n"))


def test_variants_of_a_class(write):
    text = HEADER + "a.jpg,1,2,3,4,Dog\na.jpg,1,2,3,4, dog \na.jpg,1,2,3,4,dog\n"
    with pytest.warns(UserWarning, match=r"'Dog' \(1 objects\) and 'dog' \(2 objects\)"):
        assert load(write(text)).class_names == ("Dog", "dog")


def test_what_is_no_file_or_too_large(write, tmp_path, monkeypatch):
    path, folder = write(HEADER)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: expected a file, but this is a named pipe"):
        load((tmp_path / "pipe", folder))
    with pytest.raises(ValueError, match="expected a file, but this is a folder"):
        load((folder, folder))
    monkeypatch.setattr(csv_reader, "MAX_BYTES", 10)
    with pytest.raises(ValueError, match=r"boxes\.csv: file is too large: 32 bytes \(limit 10\)"):
        load((path, folder))


def test_corner_and_size(write):
    paths = write("image,bbox_x,bbox_y,bbox_w,bbox_h,class\na.jpg,1,2,3,4,dog\na.jpg,5,6,7,8,dog\n")
    np.testing.assert_array_equal(load(paths)[0].boxes, [[1, 2, 4, 6], [5, 6, 12, 14]])


@pytest.mark.filterwarnings("ignore:.* lines have a class but no box")
def test_a_class_without_a_box_does_not_decide_whether_there_are_labels(write):
    paths = write(HEADER + "a.jpg,,,,,nothing\nsub/b.png,1,2,3,4,2\n")
    np.testing.assert_array_equal(load(paths, classes=["cat", "dog"])[1].labels, [2])
