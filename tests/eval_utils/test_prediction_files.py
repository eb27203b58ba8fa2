import json

import cv2
import numpy as np
import pytest
from annotated_images import write_image
from videos import video_facts

import multibox as mb
from multibox.eval_utils.prediction_files import output_names, save_predictions
from multibox.eval_utils.streaming import Source

NAMES = ("cat", None, "dog")
ROWS = [[1, 0.9, 1.5, 2, 11.5, 20], [3, 0.75, 0, 0, 60, 40]]
DATA_SETS = ("voc", "coco", "yolo", "labelme")


def found(path, rows=ROWS, names=NAMES, image=None, size=(40, 60)):
    rows = np.array(rows, np.float32).reshape(-1, 6)
    return mb.Detections.from_rows(rows, names, size, path if image is None else image)


@pytest.fixture
def predictions(tmp_path):
    """Two objects in a.jpg, none in sub/12.png, both of 60 x 40 pixels."""
    paths = [tmp_path / "in/a.jpg", tmp_path / "in/sub/12.png"]
    for seed, path in enumerate(paths):
        write_image(path, seed=seed)
    return [(Source(str(p)), found(str(p), rows)) for p, rows in zip(paths, (ROWS, []), strict=True)]


@pytest.fixture
def frames():
    """Three frames of clip.mp4, each with a dog."""
    images = [np.full((40, 60, 3), 50 * i, np.uint8) for i in range(3)]
    sources = [Source("clip.mp4", i, i / 10, 10.0) for i in range(3)]
    return [(s, found("", ROWS[1:], image=im)) for s, im in zip(sources, images, strict=True)]


def test_json(predictions, frames, tmp_path):
    assert save_predictions(predictions + frames[1:2], tmp_path / "out") == 3
    text = (tmp_path / "out/detections.json").read_text()
    assert text.startswith('[\n{"image": ') and text.endswith("}\n]\n")
    assert json.loads(text) == [
        {
            **{"image": f"{tmp_path}/in/a.jpg", "width": 60, "height": 40},
            "detections": [
                {"class_name": "cat", "class_id": 1, "score": 0.9, "box": [1.5, 2, 11.5, 20]},
                {"class_name": "dog", "class_id": 3, "score": 0.75, "box": [0, 0, 60, 40]},
            ],
        },
        {"image": f"{tmp_path}/in/sub/12.png", "width": 60, "height": 40, "detections": []},
        {
            **{"image": "clip.mp4", "frame": 1, "seconds": 0.1, "width": 60, "height": 40},
            "detections": [{"class_name": "dog", "class_id": 3, "score": 0.75, "box": [0, 0, 60, 40]}],
        },
    ]


def test_csv(predictions, frames, tmp_path):
    save_predictions(predictions + frames[:1], tmp_path / "out", ["csv"])
    assert (tmp_path / "out/detections.csv").read_text() == (
        "image,frame,width,height,xmin,ymin,xmax,ymax,class,score\n"
        f"{tmp_path}/in/a.jpg,,60,40,1.5,2,11.5,20,cat,0.9\n"
        f"{tmp_path}/in/a.jpg,,60,40,0,0,60,40,dog,0.75\n"
        f"{tmp_path}/in/sub/12.png,,60,40,,,,,,\n"
        "clip.mp4,0,60,40,0,0,60,40,dog,0.75\n"
    )


def test_the_csv_file_reads_back(predictions, tmp_path):
    save_predictions(predictions, tmp_path / "out", ["csv"])
    data = mb.load_csv(tmp_path / "out/detections.csv", tmp_path / "in", progress=False)
    assert data.class_names == ("cat", "dog")
    np.testing.assert_array_equal(data[0].boxes, np.array(ROWS, np.float32)[:, 2:])
    assert len(data[1].labels) == 0


def test_coco_results(predictions, frames, tmp_path):
    twelve = (predictions[1][0], found(predictions[1][0].path, ROWS[:1]))
    save_predictions([predictions[0], twelve, frames[2]], tmp_path / "out", ["coco-results"])
    a, b = ([float(v) for v in box] for box in ((1.5, 2, 10, 18), (0, 0, 60, 40)))
    first, second = f"{tmp_path}/in/a.jpg", f"{tmp_path}/in/sub/12.png"
    assert json.loads((tmp_path / "out/coco_results.json").read_text()) == [
        {"image_id": 1, "category_id": 1, "bbox": a, "score": 0.9, "file_name": first},
        {"image_id": 1, "category_id": 3, "bbox": b, "score": 0.75, "file_name": first},
        {"image_id": 12, "category_id": 1, "bbox": a, "score": 0.9, "file_name": second},
        {"image_id": 3, "category_id": 3, "bbox": b, "score": 0.75, "file_name": "clip.mp4", "frame": 2},
    ]


def test_coco_results_of_the_80_classes_and_a_number_that_is_taken(tmp_path):
    rows = [[80, 0.5, 0, 0, 10, 10]]
    several = [(Source(p), found(p, rows, mb.COCO_CLASSES)) for p in ("2.jpg", "x/2.jpg", "y.jpg")]
    save_predictions(several, tmp_path, ["coco-results"])
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in results] == [(2, 90), (3, 90), (4, 90)]


def test_nothing_at_all(tmp_path):
    assert save_predictions([], tmp_path / "out", ["json", "csv", "coco-results", *DATA_SETS], draw=True) == 0
    assert json.loads((tmp_path / "out/detections.json").read_text()) == []
    assert len((tmp_path / "out/detections.csv").read_text().splitlines()) == 1


@pytest.mark.parametrize("layout", DATA_SETS)
@pytest.mark.parametrize("images", ["copy", "link"])
def test_data_sets_read_back(predictions, tmp_path, layout, images):
    save_predictions(predictions, tmp_path / "out", [layout], images=images)
    data = mb.load_dataset(tmp_path / "out" / layout, progress=False)
    assert data.class_names == ("cat", "dog")
    by_name = {record.image_id.rpartition("/")[2]: record for record in data}
    assert sorted(by_name) == ["12", "a"]
    np.testing.assert_allclose(by_name["a"].boxes, np.array(ROWS)[:, 2:], atol=1e-5)
    assert by_name["a"].labels.tolist() == [1, 2]
    assert len(by_name["12"].labels) == 0
    original = predictions[0][0].path
    np.testing.assert_array_equal(by_name["a"].read(), mb.read_image(original))
    assert (tmp_path / "in/a.jpg").samefile(by_name["a"].image) == (images == "link")


def test_the_exact_files_of_yolo_and_voc(predictions, tmp_path):
    save_predictions(predictions, tmp_path / "out", ["yolo", "voc"])
    names = "train: images/train\nnames:\n  0: cat\n  1: dog\n"
    assert (tmp_path / "out/yolo/data.yaml").read_text() == names
    lines = (tmp_path / "out/yolo/labels/train/a.txt").read_text().splitlines()
    np.testing.assert_allclose([*map(float, lines[0].split())], [0, 6.5 / 60, 11 / 40, 1 / 6, 18 / 40])
    assert lines[1:] == ["1 0.5 0.5 1.0 1.0"]
    assert (tmp_path / "out/yolo/labels/train/sub/12.txt").read_text() == ""
    text = (tmp_path / "out/voc/Annotations/a.xml").read_text()
    assert "<name>cat</name>" in text and "<xmin>2.5</xmin>" in text and "<xmax>11.5</xmax>" in text


def test_the_exact_files_of_labelme(predictions, tmp_path):
    save_predictions(predictions, tmp_path / "out", ["labelme"])
    content = json.loads((tmp_path / "out/labelme/train/a.json").read_text())
    assert content["imagePath"] == "a.jpg" and (content["imageWidth"], content["imageHeight"]) == (60, 40)
    assert [(shape["label"], shape["points"]) for shape in content["shapes"]] == [
        ("cat", [[1.5, 2], [11.5, 20]]),
        ("dog", [[0, 0], [60, 40]]),
    ]


def test_classes_without_names_have_their_numbers_and_equal_names_of_pictures_stay_apart(tmp_path):
    paths = [str(write_image(tmp_path / f"in/{name}")) for name in ("a.jpg", "a.png")]
    rows = [[5, 0.9, 1, 1, 9, 9], [2, 0.9, 3, 3, 3, 9]]
    several = [(Source(p), found(p, rows, None)) for p in paths]
    with pytest.warns(UserWarning, match="2 boxes without area are left out"):
        save_predictions(several, tmp_path / "out", ["coco"])
    data = mb.load_dataset(tmp_path / "out/coco", progress=False)
    assert data.class_names == ("2", "5")
    assert [(r.image_id, r.labels.tolist()) for r in data] == [("a_jpg", [2]), ("a_png", [2])]


def test_drawn_pictures(predictions, tmp_path):
    other = write_image(tmp_path / "in/other/a.jpg", seed=7)
    save_predictions([*predictions, (Source(str(other)), found(str(other)))], tmp_path / "out", [], draw=True)
    folder = tmp_path / "out/drawn"
    assert sorted(path.name for path in folder.iterdir()) == ["12.png", "a-2.jpg", "a.jpg"]
    empty = mb.read_image(str(folder / "12.png"))
    np.testing.assert_array_equal(empty, mb.read_image(predictions[1][0].path))
    original = mb.read_image(predictions[0][0].path).astype(int)
    drawn = mb.read_image(str(folder / "a.jpg"))
    assert drawn.shape == original.shape and np.abs(drawn - original).mean() > 5
    with pytest.raises(ValueError, match=r"a\.jpg: would be replaced by its own drawing"):
        source = str(folder / "a.jpg")
        save_predictions([(Source(source), found(source))], tmp_path / "out", [], draw=True, overwrite=True)


def test_drawn_videos(frames, tmp_path):
    again = [(s._replace(path="x/clip.mp4"), d) for s, d in frames[:2]]
    save_predictions(frames + again, tmp_path / "out", [], draw=True)
    assert video_facts(tmp_path / "out/drawn/clip.mp4") == (3, (60, 40), 10)
    assert video_facts(tmp_path / "out/drawn/clip-2.mp4") == (2, (60, 40), 10)
    capture = cv2.VideoCapture(str(tmp_path / "out/drawn/clip.mp4"))
    _, first = capture.read()
    assert first.max() > 150  # a black frame with a drawn box


def interrupted(predictions):
    yield from predictions
    raise KeyboardInterrupt


def test_what_was_found_before_an_interruption_is_written(frames, predictions, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        save_predictions(interrupted(frames), tmp_path / "out", ["json", "csv"], draw=True)
    assert video_facts(tmp_path / "out/drawn/clip.mp4") == (3, (60, 40), 10)
    assert len(json.loads((tmp_path / "out/detections.json").read_text())) == 3
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == ["detections.csv", "detections.json", "drawn"]
    with pytest.raises(KeyboardInterrupt):
        save_predictions(interrupted(predictions), tmp_path / "out", ["coco"])
    assert len(mb.load_dataset(tmp_path / "out/coco", progress=False)) == 2


def test_after_an_error_nothing_half_is_left(frames, tmp_path):
    def broken():
        yield from frames
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        save_predictions(broken(), tmp_path / "out", ["json", "csv"], draw=True)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_data_set_that_cannot_be_written_costs_nothing_else(tmp_path):
    bad = str(write_image(tmp_path / "in/a\tb.jpg"))
    with pytest.raises(ValueError, match=r"an image id must not .* contain control characters"):
        save_predictions([(Source(bad), found(bad))], tmp_path / "out", ["json", "voc", "csv"], draw=True)
    there = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert there == ["detections.csv", "detections.json", "drawn"]


def test_earlier_results_are_replaced_only_if_asked(predictions, tmp_path):
    out = tmp_path / "out"
    formats = ["json", "csv", "coco-results", *DATA_SETS]
    save_predictions(predictions, out, formats, draw=True)
    assert sorted(path.name for path in out.iterdir()) == sorted(output_names(formats, True))
    for name in formats:
        with pytest.raises(FileExistsError, match="exists already; it is not overwritten"):
            save_predictions(predictions, out, [name])
    with pytest.raises(FileExistsError, match="drawn exists already"):
        save_predictions(predictions, out, [], draw=True)
    (out / "voc/Annotations/old.xml").write_text("")
    save_predictions(predictions[:1], out, formats, draw=True, overwrite=True)
    assert len(json.loads((out / "detections.json").read_text())) == 1
    assert [path.name for path in (out / "voc/Annotations").iterdir()] == ["a.xml"]


def test_what_is_refused(predictions, frames, tmp_path):
    with pytest.raises(ValueError, match=r"clip\.mp4: the format voc is a data set of pictures"):
        save_predictions(frames, tmp_path / "out", ["voc"])
    with pytest.raises((ValueError, TypeError), match="save_predictions: formats must be"):
        save_predictions(predictions, tmp_path / "out", ["pdf"])
