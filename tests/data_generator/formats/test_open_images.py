"""Open Images' boxes, in the form of `oidv6-train-annotations-bbox.csv`."""

import os

import cv2
import numpy as np
import pytest

from multibox.data_generator import load_dataset
from multibox.data_generator.formats.open_images import (
    load_open_images,
    looks_like_open_images,
    scan_open_images,
)

HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,"
    "IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
LINES = [
    "000002b66c9c498e,xclick,/m/01g317,1,0.25,0.5,0.125,0.75,0,1,0,0,0",
    "00009999aaaabbbb,xclick,/m/01g317,1,0.1,0.2,0.3,0.4,0,0,0,0,0",
    "000002b97e5471a0,activemil,/m/01yrx,1,0.0,1.0,0.0,1.0,-1,-1,-1,-1,-1",
    "000002b66c9c498e,xclick,/m/01yrx,1,0.0,0.5,0.0,0.5,0,0,1,0,0",
]
DESCRIPTIONS = "/m/01g317,Person\n/m/01yrx,Cat\n/m/011k07,Tortoise\n"
pytestmark = pytest.mark.filterwarnings("ignore:.*left out 1 listed pictures")


@pytest.fixture
def write(tmp_path):
    """Writes the lines and returns the arguments of the reader; two pictures are there."""
    for name in ("000002b66c9c498e.jpg", "sub/000002b97e5471a0.jpg"):
        (tmp_path / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "train" / name), np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "class-descriptions-boxable.csv").write_text(DESCRIPTIONS)

    def write(lines, header=HEADER):
        (tmp_path / "boxes.csv").write_text("\n".join([header, *lines]) + "\n")
        return tmp_path / "boxes.csv", tmp_path / "train", tmp_path / "class-descriptions-boxable.csv"

    return write


def load(paths, **options):
    return load_open_images(*paths, progress=False, **options)


def test_fields(write):
    paths = write(LINES)
    with pytest.warns(UserWarning, match=r"boxes\.csv: left out 1 listed pictures .* and 0 pictures there"):
        dataset = load(paths)
    assert dataset.class_names == ("Cat", "Person")
    first, second = dataset
    assert (first.image_id, first.width, first.height) == ("000002b66c9c498e", 60, 40)
    assert first.image == str(paths[1] / "000002b66c9c498e.jpg")
    assert first.boxes.tolist() == [[15, 5, 30, 30], [0, 0, 30, 20]]
    assert first.labels.tolist() == [2, 1]
    assert (first.truncated.tolist(), first.crowd.tolist()) == ([True, False], [False, True])
    assert second.image == str(paths[1] / "sub/000002b97e5471a0.jpg")
    assert (second.truncated.tolist(), second.crowd.tolist()) == ([False], [False])
    assert load(paths, classes=["Person", "Cat"])[0].labels.tolist() == [1, 2]


def test_class_codes(write):
    assert load(write(LINES)[:2]).class_names == ("/m/01g317", "/m/01yrx")


def test_descriptions_with_a_header(write):
    paths = write(LINES)
    paths[2].write_text("LabelName,DisplayName\n" + DESCRIPTIONS)
    assert load(paths).class_names == ("Cat", "Person")


def test_pictures_without_lines_are_left_out(write):
    with pytest.warns(UserWarning, match=r"left out 0 listed .* and 1 pictures there without usable lines"):
        assert [r.image_id for r in load(write(LINES[:1]))] == ["000002b66c9c498e"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.25", "left", r"boxes\.csv, line 2: XMin must be a number below 1e6, got 'left'"),
        ("/m/01yrx,1,0.0,0.5", "/m/x,1,0.0,0.5", r"line 5: the class descriptions have no LabelName '/m/x'"),
        (",0,0,1,0,0", ",0,0,1,0", r"line 5: has 12 fields, but there are 13 columns"),
        ("xclick", "x" * 10_000, r"boxes\.csv: a line has 10000 characters or more"),
    ],
)
def test_bad_lines(write, old, new, message):
    paths = write("\n".join(LINES).replace(old, new).split("\n"))
    with pytest.raises(ValueError, match=message):
        load(paths)


def test_scan_goes_on_after_a_bad_line(write):
    errors = []
    paths = write([LINES[0].replace("0.25", "left"), *LINES[1:]])
    annotations = list(scan_open_images(*paths, on_error=errors.append, progress=False))
    assert [a.names for a in annotations] == [("Cat",), ("Cat",)] and len(errors) == 1


def test_other_files(write, tmp_path):
    paths = write(LINES, header=HEADER.replace("LabelName", "Label"))
    assert not looks_like_open_images(paths[0]) and not looks_like_open_images(tmp_path)
    with pytest.raises(ValueError, match=r"boxes\.csv: no column LabelName; there are: ImageID, Source"):
        load(paths)
    paths = write([LINES[1]])
    assert looks_like_open_images(paths[0])
    with pytest.raises(FileNotFoundError, match=r"none of the 1 pictures that it lists is in .*train"):
        load(paths)
    cv2.imwrite(str(tmp_path / "train/sub/000002b66c9c498e.png"), np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(ValueError, match="have the same ImageID '000002b66c9c498e'"):
        load(paths)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused(write, tmp_path):
    _, *rest = write(LINES)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(ValueError, match=r"pipe\.csv: expected a file, but this is a named pipe"):
        load((tmp_path / "pipe.csv", *rest))


def test_load_dataset_finds_boxes_pictures_and_names(write, tmp_path):
    write(LINES)
    (tmp_path / "boxes.csv").rename(tmp_path / "oidv6-train-annotations-bbox.csv")
    data = load_dataset(tmp_path, "train", progress=False)
    assert repr(data) == "<Open Images train: 2 images, 3 objects of 2 classes (1 truncated, 1 crowd)>"
    assert data.class_names == ("Cat", "Person")
