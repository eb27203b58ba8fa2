"""`load_detections` and `save_detections`: files as tools write them, and what is refused."""

import gzip
import json
import os

import numpy as np
import pytest
from golden_voc2007 import read_voc2007

import multibox as mb
from multibox.eval_utils.streaming import Source

ROWS = [
    np.array([[2, 0.75, 10.5, 20, 50.25, 60], [1, 0.5, 0, 0, 10, 10]]),
    np.zeros((0, 6)),
    np.array([[1, 0.1, 1 / 3, 5, 30, 40]]),
]


def data_set(ids=("000007", "street/b", "c"), names=("cat", "dog")):
    boxes, labels = np.array([[0, 0, 10, 10]], np.float32), np.array([1], np.int32)
    records = [mb.Record(i, f"/pictures/{i}.jpg", 100, 80, boxes, labels) for i in ids]
    return mb.DetectionDataset(names, records, "mine")


DATA = data_set()


def equal(found, expected):
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["results.json", "results.csv", "results"])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_what_is_written_is_read_back(tmp_path, name, kind):
    rows = [r.astype(kind) for r in ROWS]
    if name == "results":  # 1 is added and subtracted
        rows[2][0, 2] = 0.25
    mb.save_detections(rows, DATA, tmp_path / name)
    found = mb.load_detections(tmp_path / name, DATA)
    equal([f.astype(kind) for f in found], rows)
    assert {f.dtype for f in found} == {np.dtype(float)}
    with pytest.raises(FileExistsError, match="exists already"):
        mb.save_detections(rows, DATA, tmp_path / name)
    mb.save_detections(rows[:1] + [ROWS[1]] * 2, DATA, tmp_path / name, overwrite=True)
    assert sum(map(len, mb.load_detections(tmp_path / name, DATA))) == 2


def test_the_files(tmp_path):
    mb.save_detections(ROWS, DATA, tmp_path / "voc", image_set="val")
    assert sorted(path.name for path in (tmp_path / "voc").iterdir()) == [
        "comp4_det_val_cat.txt",
        "comp4_det_val_dog.txt",
    ]
    assert (tmp_path / "voc/comp4_det_val_dog.txt").read_text() == "000007 0.75 11.5 21 50.25 60\n"
    mb.save_detections(ROWS, DATA, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines() == [
        "image_id,xmin,ymin,xmax,ymax,class,score",
        "000007,10.5,20,50.25,60,dog,0.75",
        "000007,0,0,10,10,cat,0.5",
        "street/b,,,,,,",
        "c,0.3333333333333333,5,30,40,cat,0.1",
    ]
    mb.save_detections(ROWS, DATA, tmp_path / "a.json", category_ids={"cat": 17, "dog": 18})
    first, *_ = json.loads((tmp_path / "a.json").read_text())
    # Not all image ids are numbers: images are counted.
    assert first == {"image_id": 1, "category_id": 18, "bbox": [10.5, 20, 39.75, 40], "score": 0.75}
    mb.save_detections([ROWS[1]] * 3, DATA, tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []
    equal(mb.load_detections(tmp_path / "none.json", DATA), [ROWS[1]] * 3)


def test_numbers_of_images_and_categories_are_those_of_coco(tmp_path):
    data = data_set(("139", "000000000285"), mb.COCO_CLASSES)
    # Category 18 is the dog; instance masks and other keys do not matter.
    results = [
        {"image_id": 285, "category_id": 18, "bbox": [1, 2, 3, 4], "score": 0.5, "segmentation": {"a": []}},
        {"image_id": 139, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1},
        {"image_id": 285, "category_id": 18, "bbox": [1, 2, 3, 4], "score": 0.75},
    ]
    (tmp_path / "r.json").write_text(json.dumps(results))
    dog = mb.COCO_CLASSES.index("dog") + 1
    expected = [[[1, 1, 1, 2, 4, 6]], [[dog, 0.75, 1, 2, 4, 6], [dog, 0.5, 1, 2, 4, 6]]]
    equal(mb.load_detections(tmp_path / "r.json", data), expected)


def test_what_pycocotools_reads(tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    data = mb.load_shapes(3)
    rows = [np.column_stack([r.labels, np.full(len(r.labels), 0.5), r.boxes]) for r in data]
    mb.save_coco(data, tmp_path / "truth.json", tmp_path)
    mb.save_detections(rows, data, tmp_path / "found.json")
    results = coco.COCO(tmp_path / "truth.json").loadRes(str(tmp_path / "found.json"))
    assert len(results.anns) == sum(map(len, rows))


def test_the_files_of_save_predictions(tmp_path):
    found = mb.Detections.from_rows(ROWS[0].astype("f4"), ("cat", "dog"), (80, 100), "c.png")
    mb.save_predictions([(Source("/elsewhere/c.png"), found)], tmp_path, ["csv", "coco-results"])
    for name in ("detections.csv", "coco_results.json"):
        equal(mb.load_detections(tmp_path / name, DATA), [ROWS[1], ROWS[1], ROWS[0]])


def test_tables_of_other_tools(tmp_path):
    path = tmp_path / "found.csv"
    path.write_text(
        'Filename;Label;Confidence;x;y;w;h\nb.jpg;2;0.5;1;2;3;4\n"C:\\x\\c.jpg";dog;0.25;1;2;3;4\n'
    )
    with pytest.warns(UserWarning, match="x, y, w, h are read as the upper left corner"):
        found = mb.load_detections(path, DATA)
    equal(found, [ROWS[1], [[2, 0.5, 1, 2, 4, 6]], [[2, 0.25, 1, 2, 4, 6]]])


def test_results_of_the_devkit(golden, tmp_path):
    """The files as they are, without the boxes that the test of `evaluate_voc` reads by its own code."""
    data, expected, _ = read_voc2007(golden)
    for file in (golden / "voc2007_eval").glob("comp4*.gz"):
        (tmp_path / file.name.removesuffix(".gz")).write_bytes(gzip.decompress(file.read_bytes()))
    found = mb.load_detections(tmp_path, data)
    assert mb.evaluate_voc(found, data).mean_average_precision == pytest.approx(
        mb.evaluate_voc(expected, data).mean_average_precision, abs=1e-6
    )
    assert sum(map(len, found)) == 19512


def test_classes_without_a_file_are_named(tmp_path):
    (tmp_path / "comp4_det_test_dog.txt").write_text("000007 0.5 1 1 10 10\n\n")
    (tmp_path / "notes.txt").write_text("not one of them")
    for path in (tmp_path, tmp_path / "comp4_det_test_dog.txt"):
        with pytest.warns(UserWarning, match="no file for 1 of the 2 classes, which .*: cat$"):
            equal(mb.load_detections(path, DATA), [[[2, 0.5, 0, 0, 10, 10]], ROWS[1], ROWS[1]])


HEADER = "image_id,xmin,ymin,xmax,ymax,class,score\n"
RESULT = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 10, 10], "score": 0.5}
DOG = "comp4_det_test_dog.txt"


def results(**changes):
    return json.dumps([RESULT, RESULT | changes])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{}", r"expected COCO's results, \[.*: Expected `array`, got `object`"),
        ("a.json", "[", "expected COCO's results"),
        ("a.json", "[" * 100_000, "expected COCO's results"),
        ("a.json", '[{"image_id": 1}]', r"missing required field `category_id` - at `\$\[0\]`"),
        ("a.json", results(score=float("nan")), "a score or box is NaN or infinite"),
        ("a.json", results(image_id=4), "result 1: the data set mine has no image with the id 4"),
        ("a.json", results(image_id="d"), "result 1: the data set mine has no image 'd'"),
        ("a.json", results(file_name="x/d.jpg"), "result 1: the data set mine has no image 'x/d.jpg'"),
        (
            "a.json",
            results(category_id=3),
            "result 1: category_id 3 is none of the data set's, which are 1, 2;",
        ),
        (
            "a.json",
            results(bbox=[0, 0, -1, 10]),
            "result 1: the width and height .* got .0.0, 0.0, -1.0, 10.0",
        ),
        ("a.json", results(bbox=[0, 0, 1e9, 10]), "result 1: the box must be numbers below 1e6"),
        ("a.json", json.dumps([RESULT | {"bbox": [0.1, 0.1, 0.5, 0.5]}]), "the boxes look relative"),
        ("a.csv", "image_id,xmin,ymin,xmax,ymax,class\n", "no column for the score"),
        ("a.csv", "image_id,score\n", "no column for the box"),
        ("a.csv", "", "no column for the image"),
        ("a.csv", HEADER + "c,0,0,10,10,dog\n", "line 2: expected 7 fields, one for each column, got 6"),
        (
            "a.csv",
            HEADER + "c,0,0,10,10,dog,nan\n",
            "line 2: the score must be a number below 1e6, got 'nan'",
        ),
        ("a.csv", HEADER + "c,0,0,ten,10,dog,1\n", "line 2: xmax must be a number below 1e6, got 'ten'"),
        ("a.csv", HEADER + "c,0,0,,10,dog,1\n", "line 2: xmax must be a number below 1e6, got ''"),
        (
            "a.csv",
            HEADER + "c,9,0,5,10,dog,1\n",
            "line 2: the width and height of the box must not be negative",
        ),
        ("a.csv", HEADER + "d,0,0,10,10,dog,1\n", "line 2: the data set mine has no image 'd'"),
        (
            "a.csv",
            HEADER + "c,0,0,10,10,dogs,1\n",
            "line 2: the data set has no class 'dogs'; did you mean 'dog'",
        ),
        ("a.csv", HEADER + "c,0,0,10,10,3,1\n", "line 2: class ids must be 1..2, got '3'"),
        ("a.csv", HEADER + 'c,0,0,10,10,"dog,1\n', "line 2: not a readable CSV file"),
        ("a.csv", "a" * 200_000, "line 1: not a readable CSV file: field larger than field limit"),
        (DOG, "c 0.5 1 1 10\n", "line 1: expected image, score, xmin"),
        (DOG, "c 0.5 1 1 10 1_0\n", "line 1: expected five numbers"),
        (DOG, "c nan 1 1 10 10\n", "line 1: the score must be a finite number, got nan"),
        (DOG, "\nd 0.5 1 1 10 10\n", "line 2: the data set mine has no image 'd'"),
        ("comp4_det_test_bird.txt", "", "the data set has no class 'bird'"),
        ("dog.txt", "", "expected files with names such as comp4_det_test_dog.txt"),
        ("a.xml", "", r"expected COCO's results \(.json\), a table \(.csv\), or VOC's"),
    ],
)
@pytest.mark.filterwarnings("ignore:load_detections. .*no file for")
def test_what_is_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as caught:
        mb.load_detections(path, DATA)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_dot_in_an_id_is_no_suffix(tmp_path):
    """A detection on frame_1.7, which the data set lacks, is none on frame_1."""
    data, path = data_set(("frame_1", "frame_1.5")), tmp_path / "a.csv"
    path.write_text(HEADER + "frame_1.5,0,0,10,10,dog,1\nframe_1.5.JPG,0,0,10,10,dog,1\n")
    assert [len(rows) for rows in mb.load_detections(path, data)] == [0, 2]
    path.write_text(HEADER + "frame_1.7,0,0,10,10,dog,1\n")
    with pytest.raises(ValueError, match=r"line 2: the data set mine has no image 'frame_1.7'"):
        mb.load_detections(path, data)


def test_two_classes_with_one_category_id(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]')
    with pytest.raises(ValueError, match="category_ids has the same id 1 for 'cat', 'dog'"):
        mb.load_detections(path, DATA, category_ids={"cat": 1, "dog": 1})


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.json: no such file"):
        mb.load_detections(tmp_path / "a.json", DATA)
    os.mkfifo(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="this is a named pipe"):
        mb.load_detections(tmp_path / "a.csv", DATA)
    for name in ("comp4_det_test_dog.txt", "comp4_det_val_dog.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(ValueError, match="several sets of images: comp4_det_test, comp4_det_val"):
        mb.load_detections(tmp_path, DATA)


@pytest.mark.parametrize(
    ("name", "data", "options", "message"),
    [
        ("a.xml", DATA, {}, "expected a path of COCO's results"),
        ("a", data_set(("a", "b c", "d")), {}, "cannot hold an image id with spaces: 'b c'"),
        ("a", data_set(names=("a/b", "c")), {}, "a class name with /"),
        ("a", DATA, {"image_set": "../x"}, "image_set must be letters and digits"),
        ("a.json", DATA, {"category_ids": {"cat": 1}}, "category_ids has no id for 'dog'"),
        ("a.json", DATA, {"category_ids": {"cat": 1, "dog": 1}}, "the same id 1 for 'cat', 'dog'"),
        ("a.csv", data_set(("a", "b\n", "d")), {}, "control characters"),
    ],
)
def test_what_is_not_written(tmp_path, name, data, options, message):
    with pytest.raises(ValueError, match=message):
        mb.save_detections(ROWS, data, tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="detections must be finite"):
        mb.save_detections([ROWS[0] * np.nan, *ROWS[1:]], DATA, tmp_path / "a.csv")
