import pytest

from multibox.data_generator.formats.csv_columns import find_columns, find_separator, headerless, is_header


def places(header, *fields):
    found = find_columns(header.split(","), "boxes.csv").places
    return [found.get(field) for field in fields or ("image", "xmin", "ymin", "xmax", "ymax", "class")]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("filename,width,height,class,xmin,ymin,xmax,ymax", [0, 4, 5, 6, 7, 3]),  # TensorFlow's tutorials
        ("frame,xmin,xmax,ymin,ymax,class_id", [0, 1, 3, 2, 4, 5]),  # ssd_keras
        ("class,image_path,x_min,y_min,x_max,y_max", [1, 2, 3, 4, 5, 0]),
        ("path,x1,y1,x2,y2,class", [0, 1, 2, 3, 4, 5]),
        ("Image Name,xMin,yMin,xMax,yMax,Label", [0, 1, 2, 3, 4, 5]),
        ("file,left,top,right,bottom,category,filename", [6, 1, 2, 3, 4, 5]),
        ("image_id,bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax,label", [0, 1, 2, 3, 4, 5]),
        ("path,x0,y0,x1,y1,label", [0, 1, 2, 3, 4, 5]),
        ("path,x,y,w,h,xmin,ymin,xmax,ymax,label", [0, 5, 6, 7, 8, 9]),  # corners come first
    ],
)
def test_corners(header, expected):
    columns = find_columns(header.split(","), "boxes.csv")
    assert places(header) == expected
    assert not columns.sized
    assert columns.count == len(header.split(","))


@pytest.mark.filterwarnings("error")
def test_the_header_of_makesense():
    header = "label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height"
    assert places(header) == [5, 1, 2, 3, 4, 0]
    assert places(header, "width", "height") == [6, 7]
    columns = find_columns(header.split(","), "boxes.csv")
    assert columns.sized
    assert columns.names["xmax"] == "bbox_width"


def test_corner_and_size_are_announced():
    message = "boxes.csv: X, Y, W, H are read as the upper left corner, the width and the height of the box"
    with pytest.warns(UserWarning, match=message):
        assert find_columns(["path", "X", "Y", "W", "H", "label", "width", "height"], "boxes.csv").sized
    with pytest.warns(UserWarning, match="x, y, width, height are read as"):
        header = "path,x,y,width,height,label,img_width,img_height"
        assert places(header, "xmax", "ymax", "width", "height") == [3, 4, 6, 7]


def test_a_size_that_may_be_the_images():
    with pytest.raises(
        ValueError, match="width and height may be those of the image: call the box's w and h"
    ):
        places("path,x,y,width,height,label")


def test_names_of_columns_in_messages():
    with pytest.raises(ValueError, match=r"there are: path, x\\nmin, label\. Rename them"):
        places("path,x\nmin,label")


@pytest.mark.filterwarnings("ignore:.* are read as")
def test_the_height_of_the_box_is_not_that_of_the_image():
    header = "path,x,y,width,height,label,image_width"
    assert places(header, "ymax", "width", "height") == [4, 6, None]


def test_image_ids():
    assert places("image_id,image,xmin,ymin,xmax,ymax,class", "image_id", "image") == [0, 1]
    assert places("image_id,xmin,ymin,xmax,ymax,class", "image_id", "image") == [None, 0]


@pytest.mark.parametrize(
    ("line", "separator"),
    [
        ("a,b,c", ","),
        ("a;b;c", ";"),
        ("a\tb,c\td", "\t"),
        ("a|b|c\n", "|"),
        ("a.jpg;1,5;2;3", ";"),
        ('"a;b;c;d",e,f', ","),
        ("one", ","),
        ("", ","),
    ],
)
def test_separator(line, separator):
    assert find_separator(line) == separator


def test_header_or_data():
    columns = find_columns(["image", "xmin", "ymin", "xmax", "ymax", "class"], "boxes.csv")
    assert is_header(["frame", "a", "b", "c", "d", "label"], columns)
    assert not is_header(["a.jpg", "1", "b", "c", "d", "label"], columns)
    assert not is_header(["a.jpg", "", "", "", "", ""], columns)
    assert not is_header(["frame", "a", "b"], columns)


def test_lines_of_keras_retinanet():
    columns = ["path", "xmin", "ymin", "xmax", "ymax", "class"]
    assert headerless(["x/a.jpg", "1", "2", "3", "4", "dog"]) == columns
    assert headerless(["x/a.jpg", "", "", "", "", ""]) == columns
    assert headerless(["x/a.jpg", "1", "3", "2", "4", "7"]) is None
    assert headerless(["frame", "1", "3", "2", "4", "dog"]) is None
    assert headerless(["x/a.jpg", "1", "3", "2", "", "dog"]) is None
