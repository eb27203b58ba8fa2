import json
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from annotated_images import BOX, annotation, write_image

from multibox.data_check import check_dataset
from multibox.data_check.objects import collect_objects, summarize
from multibox.data_check.pictures import plot_anchors, plot_boxes, plot_findings
from multibox.data_generator import DetectionDataset, load_shapes
from multibox.data_generator.record import Record

matplotlib.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def report(tmp_path):
    """Of a data set with two bad boxes, a missing image and an unknown class."""
    a, b, c = (write_image(tmp_path / f"{name}.png", seed=i) for i, name in enumerate("abc"))
    train = [
        annotation(a, boxes=[BOX, (70, 5, 90, 35), (10, 5, 10, 35)]),
        annotation(tmp_path / "missing.png"),
        annotation(b, names=["hen"]),
    ]
    val = [annotation(c, boxes=[(0, 0, 30, 30), (20, 20, 60, 40)])]
    return check_dataset({"train": train, "val": val}, classes=["dog"], anchors="ssd300", progress=False)


def test_text(report):
    lines = str(report).splitlines()
    assert lines[:3] == [
        "train: 3 images, 5 objects",
        "val: 1 images, 2 objects",
        "Findings: error 2, warning 2",
    ]
    assert "                  train/a: dog [70, 5, 90, 35] in an image of 60x40" in lines
    assert "  dog        4    2" in lines
    (row,) = (line.split() for line in lines if line.startswith("  all "))
    assert row[:3] == ["all", "4", "100.0%"]
    assert max(map(len, lines)) <= 110


def test_a_report_without_findings_and_anchors(tmp_path):
    path = write_image(tmp_path / "a.png")
    report = check_dataset({"train": [annotation(path)]}, progress=False)
    assert "Findings: none" in str(report)
    assert "no class names given; these occur" in str(report)
    assert "coverage" not in str(report)
    assert plot_findings(report) is plot_anchors(report) is None


def test_json_round_trip(report, tmp_path):
    report.save(tmp_path / "out")
    read = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))
    assert read == report.to_dict()
    assert list(read) == ["version", "counts", "classes", "findings", "statistics", "coverage", "suggestion"]
    first = read["findings"][0]
    assert first == {
        "severity": "error",
        "kind": "missing-file",
        "message": "no such image",
        "split": "train",
        "image_id": "missing",
        "file": str(tmp_path / "missing.png"),
        "image": str(tmp_path / "missing.png"),
        "detail": {"reason": "No such file or directory"},
        "count": 1,
    }
    assert read["coverage"]["by_size"]["all"]["objects"] == 4
    assert read["coverage"]["one_anchor_only"] == []
    assert read["suggestion"] is None


def test_the_objects_with_one_anchor_are_listed(tmp_path):
    path = write_image(tmp_path / "a.png")
    boxes = [BOX, (0, 0, 2, 2), (30, 20, 31.5, 21.5)]
    report = check_dataset({"train": [annotation(path, boxes)]}, anchors="ssd300", progress=False)
    listed = report.to_dict()["coverage"]["one_anchor_only"]
    assert [(o["split"], o["image_id"], o["object"], o["name"]) for o in listed] == [
        ("train", "a", 2, "dog"),
        ("train", "a", 1, "dog"),
    ]
    assert listed[0]["best_iou"] < listed[1]["best_iou"] < 0.5
    assert listed[1]["box"] == [0, 0, 2, 2]


def test_files(report, tmp_path):
    folder = tmp_path / "out"
    report.save(folder)
    names = {"report.json", "report.txt", "findings.png", "boxes.png", "anchors.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "report.txt").read_text(encoding="utf-8") == f"{report}\n"
    assert plt.get_fignums() == []
    # A picture of nothing does not stay from an earlier run.
    clean = check_dataset({"train": [annotation(tmp_path / "a.png")]}, progress=False)
    clean.save(folder)
    assert {path.name for path in folder.iterdir()} == {"report.json", "report.txt", "boxes.png"}


def test_a_failed_write_leaves_the_earlier_file(report, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    report.save(folder)
    before = (folder / "findings.png").read_bytes()

    def fail(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        report.save(folder)
    assert (folder / "findings.png").read_bytes() == before


def test_pictures_of_findings(report):
    axes = plot_findings(report).axes
    titles = [cell.get_title(loc="left").splitlines() for cell in axes]
    assert titles == [
        ["train/missing: missing-file", "no such image"],
        ["train/b: unknown-class", "'hen', 1 object, first in this image"],
        ["train/a: flat-box", "dog [10, 5, 10, 35]"],
        ["train/a: outside-box", "dog [70, 5, 90, 35] in an image of 60x40"],
    ]
    assert [t.get_text() for t in axes[0].texts] == ["cannot be shown"]
    assert [len(cell.images) for cell in axes] == [0, 1, 1, 1]
    (box,) = axes[3].patches
    assert (tuple(box.get_xy()), box.get_width(), box.get_height()) == ((70, 5), 20, 30)
    assert axes[3].get_xlim()[1] > 90


def test_at_most_twelve_pictures_and_each_kind_has_its_turn(tmp_path):
    path = write_image(tmp_path / "a.png")
    boxes = [(70 + i, 5, 90, 35) for i in range(15)] + [(10, 5, 10, 35)]
    report = check_dataset({"train": [annotation(path, boxes)]}, progress=False)
    titles = [cell.get_title(loc="left").splitlines()[0] for cell in plot_findings(report).axes]
    assert len(titles) == 12
    assert titles.count("train/a: flat-box") == 1


def test_pictures_of_boxes_and_anchors(report):
    panels = plot_boxes(report).axes
    assert [sum(bar.get_height() for bar in panel.patches) for panel in panels[:3]] == [5, 5, 4]
    bars = {group.get_label(): [(b.get_x(), b.get_width()) for b in group] for group in panels[3].containers}
    assert bars == {"train": [(0, 4)], "val": [(4, 2)]}
    axes = plot_anchors(report).axes[0]
    dots, shapes = axes.collections
    assert len(dots.get_offsets()) == 4
    assert len(shapes.get_offsets()) == 30


def test_statistics(report):
    statistics = report.statistics
    assert statistics["splits"]["train"] == {
        "images": 3,
        "objects": 5,
        "difficult": 0,
        "crowd": 0,
        "images_without_objects": 0,
    }
    # Three times BOX, 30 x 30 and 40 x 20, all in images of 60 x 40.
    quantiles = statistics["box_size"]["quantiles"]
    assert quantiles["max"] == pytest.approx(np.sqrt(900 / 2400))
    assert quantiles["min"] == pytest.approx(np.sqrt(800 / 2400))
    assert sum(statistics["box_size"]["histogram"]["counts"]) == 5
    assert statistics["aspect_ratio"]["quantiles"]["max"] == pytest.approx(2)
    assert statistics["objects_per_image"]["histogram"]["counts"] == [0, 3, 1]
    assert statistics["image_size"]["most_common"] == [[60, 40, 4]]
    assert statistics["image_kinds"] == {"RGB": 3}


def test_statistics_of_nothing():
    statistics = summarize([], collect_objects([]), ["train"])
    assert statistics["box_size"]["histogram"]["counts"] == []
    assert statistics["image_size"] == {"distinct": 0, "most_common": []}


def test_names_from_files_cannot_control_the_terminal(tmp_path):
    names = ("dog\x1b[2J", "犬", "x" * 200)
    image_id = "a\nFindings: none\r"
    image = annotation(write_image(tmp_path / "a.png"), [BOX, (10, 5, 10, 35), (0, 0, 9, 9)], names)
    report = check_dataset({"train\n": [replace(image, image_id=image_id)]}, progress=False)
    text = str(report)
    assert "\x1b" not in text and "\r" not in text
    lines = text.splitlines()
    assert lines[:2] == ["train\\n: 1 images, 3 objects", "Findings: warning 1"]
    assert "                  train\\n/a\\nFindings: none\\r: 犬 [10, 5, 10, 35]" in lines
    assert [line.split()[0] for line in lines if line.endswith("  1")] == [
        "dog\\x1b[2J",
        "x" * 77 + "...",
        "犬",
    ]
    assert report.to_dict()["classes"] == sorted(names)
    report.save(tmp_path / "out")


def test_pictures_of_names_with_dollars(tmp_path):
    names = ("$a$", "$\\nocommand$", "a $ b $ c")
    boxes = [BOX, (10, 5, 10, 35), (0, 0, 9, 9)]
    image = annotation(write_image(tmp_path / "a.png"), boxes, names, image_id="$\\x$")
    report = check_dataset({"$\\split$": [image]}, anchors="ssd300", progress=False)
    report.save(tmp_path / "out")
    (cell,) = plot_findings(report).axes
    assert cell.get_title(loc="left").splitlines()[0] == "$\\split$/$\\x$: flat-box"
    bars = plot_boxes(report).axes[3]
    assert [label.get_text() for label in bars.get_yticklabels()] == sorted(names)


def test_pictures_of_images_that_functions_make():
    data = load_shapes(2, image_size=(90, 120))
    empty = [Record(r.image_id, r.image, r.width, r.height, r.boxes[:0], r.labels[:0]) for r in data]
    report = check_dataset(DetectionDataset(data.class_names, empty, "shapes"), progress=False)
    cells = plot_findings(report).axes
    titles = [cell.get_title(loc="left").splitlines()[0] for cell in cells]
    assert titles == ["shapes/shapes-0-0: no-objects", "shapes/shapes-0-1: no-objects"]
    for cell, record in zip(cells, data, strict=True):
        np.testing.assert_array_equal(cell.images[0].get_array(), record.image())
