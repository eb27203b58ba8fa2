from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from annotated_images import BOX, annotation, write_image

import multibox as mb
from multibox.data_check import check_dataset
from multibox.data_generator.formats.voc import scan_voc
from multibox.data_generator.record import Record


@pytest.fixture
def splits(tmp_path):
    """Two splits of two images with nothing to be said about."""
    return {
        split: [annotation(write_image(tmp_path / f"{split}{i}.png", seed=seed + i)) for i in range(2)]
        for split, seed in (("train", 0), ("val", 10))
    }


def check(sets, **arguments):
    return check_dataset(sets, progress=False, **arguments)


def test_a_clean_data_set(splits):
    report = check(splits, classes=("dog",), anchors="ssd300")
    assert report.findings == []
    assert report.is_clean
    assert report.counts() == {"error": 0, "warning": 0, "info": 0}
    assert report.statistics["class_counts"] == {"train": {"dog": 2}, "val": {"dog": 2}}
    assert report.statistics["splits"]["val"]["images"] == 2
    assert report.coverage.rows()["all"]["objects"] == 4
    assert report.suggested_anchors is None


def test_what_is_only_worth_knowing_is_clean(splits, tmp_path):
    splits["train"].append(annotation(write_image(tmp_path / "c.png", seed=5), boxes=[]))
    report = check(splits)
    assert [f.kind for f in report.findings] == ["no-objects"]
    assert report.is_clean


def test_a_warning_is_not_clean(splits):
    splits["train"].append(splits["train"][0])
    report = check(splits)
    assert [(f.kind, f.severity) for f in report.findings] == [("listed-twice", "warning")]
    assert not report.is_clean


def test_each_part_of_the_check_is_heard(splits, tmp_path):
    """One finding of each module, errors first."""
    splits["train"] += [
        annotation(tmp_path / "missing.png"),
        annotation(write_image(tmp_path / "c.png", seed=5), boxes=[BOX, (70, 5, 90, 35)]),
        annotation(write_image(tmp_path / "d.png", seed=6), names=["hen"]),
        splits["val"][0],
        annotation(write_image(tmp_path / "e.png", seed=7), boxes=[(0, 0, 1.5, 1.5)]),
    ]
    report = check(splits, classes=("dog",), anchors="ssd300")
    assert [(f.severity, f.kind, f.image_id) for f in report.findings] == [
        ("error", "missing-file", "missing"),
        ("error", "unknown-class", "d"),
        ("error", "shared-image", "val0"),
        ("warning", "outside-box", "c"),
        ("info", "small-boxes", "e"),
        ("info", "weak-anchors", "e"),
    ]
    assert not report.is_clean


def test_annotations_that_cannot_be_read_are_findings(tmp_path):
    root = tmp_path / "VOC2007"
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    write_image(root / "JPEGImages/a.png")
    write_image(root / "JPEGImages/b.png")
    (root / "ImageSets/Main/train.txt").write_text("a\nb\nc\n")
    (root / "Annotations/a.xml").write_text("<annotation/>")
    (root / "Annotations/b.xml").write_text("<annotation>")
    report = check({"train": partial(scan_voc, tmp_path, [("2007", "train")])})
    found = {f.kind: f for f in report.findings}
    assert list(found) == ["missing-file", "unreadable-annotation", "no-objects-at-all", "no-objects"]
    assert "lists 'c', but there is no such image in" in found["missing-file"].message
    assert "b.xml: not a readable XML file" in found["unreadable-annotation"].message
    assert report.statistics["splits"]["train"]["images"] == 1


def test_all_annotations_unreadable(tmp_path):
    def scan(on_error, progress):
        on_error(ValueError("a.xml: broken"))
        return iter(())

    report = check({"train": scan}, anchors="ssd300")
    assert [(f.kind, f.message) for f in report.findings] == [("unreadable-annotation", "a.xml: broken")]
    assert report.coverage is None
    assert "a.xml: broken" in str(report)


def test_anchors_may_be_a_spec(splits):
    report = check(splits, anchors=mb.anchors.SSDLITE320)
    assert report.coverage.anchors is mb.anchors.SSDLITE320


def test_arguments_of_a_wrong_kind(splits, tmp_path):
    for classes in ("dog", {"dog"}):
        with pytest.raises(TypeError, match="classes must be a sequence"):
            check(splits, classes=classes)
    with pytest.raises(ValueError, match="no anchors 'ssd8'"):
        check(splits, anchors="ssd8")
    with pytest.raises(ValueError, match="no images in train"):
        check({"train": []})
    with pytest.raises(ValueError, match="no images in no splits"):
        check({})


def test_an_output_that_cannot_be_written_fails_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")

    def scan(on_error, progress):
        pytest.fail("was read")

    with pytest.raises(OSError, match="file"):
        check({"train": scan}, output=tmp_path / "file")


def record(path, boxes=(BOX,), labels=None, **fields):
    """A `Record` of an image of 60 x 40."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    labels = np.array([1] * len(boxes) if labels is None else labels, np.int32)
    return Record(path.stem, str(path), 60, 40, boxes, labels, **fields)


@pytest.fixture
def images(tmp_path):
    """Paths of four different images."""
    return [write_image(tmp_path / f"{name}.png", seed=i) for i, name in enumerate("abcd")]


def test_a_data_set(images):
    a, b, c, _ = images
    near, tiny = (10, 5, 40, 32), (0, 0, 1, 1)  # IoU 27/30 with BOX; 5 x 7.5 pixels of 300
    data = mb.DetectionDataset(
        ("dog", "cat"),
        [
            record(a, [BOX, near, BOX], [1, 1, 2]),
            record(b, [BOX, tiny], [2, 1], crowd=np.array([True, False])),
            record(c, []),
        ],
        "pets",
    )
    report = mb.check_dataset(data, anchors="ssd300", progress=False)
    assert [(f.kind, f.split, f.image_id, f.count, f.detail.get("object")) for f in report.findings] == [
        ("speck-box", "pets", "b", 1, 1),
        ("duplicate-box", "pets", "a", 1, 1),
        ("no-objects", "pets", "c", 1, None),
        ("small-boxes", "pets", "b", 1, None),
        ("weak-anchors", "pets", "b", 1, None),
    ]
    duplicate = report.findings[1]
    assert (duplicate.detail["repeats"], duplicate.file, duplicate.image) == (0, str(a), str(a))
    assert (report.classes, report.classes_found) == (("dog", "cat"), False)
    assert report.statistics["class_counts"] == {"pets": {"dog": 3, "cat": 1}}
    assert report.statistics["splits"]["pets"] == {
        "images": 3,
        "objects": 4,
        "difficult": 0,
        "crowd": 1,
        "images_without_objects": 1,
    }
    assert report.coverage.rows()["all"]["objects"] == 4


def test_data_sets_as_splits(images):
    a, b, c, d = images
    train = mb.DetectionDataset(("dog", "cat"), [record(a), record(b, labels=[2])], "same name")
    val = mb.DetectionDataset(("dog", "cat"), [record(c), record(d)], "same name")
    report = check({"train": train, "val": val + train[:1]})
    assert [(f.kind, f.split, f.message) for f in report.findings] == [
        ("shared-image", "val", "same image as a in train"),
        ("absent-class", "val", "'cat' has no objects in val"),
    ]


def test_data_sets_beside_other_sources(images, splits):
    data = mb.DetectionDataset(("cat",), [record(images[3])])
    report = check({"data": data, "scanned": lambda on_error, progress: splits["train"][1:], **splits})
    assert report.classes == ("cat",)
    kinds = [(f.kind, f.split, f.count) for f in report.findings if f.severity == "error"]
    assert kinds == [("unknown-class", "scanned", 5), ("shared-image", "train", 1)]
    assert check(data, classes=("cat", "dog")).classes == ("cat", "dog")


def test_data_sets_with_other_labels(images):
    a, b, c, _ = images
    train = mb.DetectionDataset(("dog", "cat"), [record(a), record(b, labels=[2])])
    val = mb.DetectionDataset(("cat", "dog", "cow"), [record(c)])
    report = check({"train": train, "val": val})
    assert report.classes == ("dog", "cat", "cow")
    assert report.statistics["class_counts"]["val"] == {"dog": 0, "cat": 1, "cow": 0}
    assert report.findings[0].kind == "different-classes"
    assert report.findings[0].message == "cat, dog, cow; in train: dog, cat"


def test_images_made_by_functions(tmp_path):
    data = mb.load_shapes(3, image_size=(90, 120))
    missing = replace(data[0], image_id="missing", image=(tmp_path / "a.jpg").read_bytes)
    broken = replace(data[1], image_id="broken", image=lambda: None)
    other = replace(data[2], image_id="other", width=121, image=lambda: data[2].image())
    records = [*data, data[1], missing, broken, other]
    report = mb.check_dataset(
        mb.DetectionDataset(data.class_names, records, "shapes"),
        anchors="ssd300",
        output=tmp_path / "out",
        progress=False,
    )
    of_images = [f for f in report.findings if f.kind not in ("absent-class", "small-boxes", "weak-anchors")]
    assert [(f.kind, f.image_id, f.file, f.image) for f in of_images] == [
        ("missing-file", "missing", None, None),
        ("unreadable-image", "broken", None, None),
        ("size-mismatch", "other", None, None),
        ("listed-twice", "shapes-0-1", None, None),
        ("identical-images", "other", None, None),
    ]
    assert of_images[1].message == "expected RGB uint8 pixels or bytes, got NoneType"
    assert of_images[2].message == "annotated 121x90, the image has 120x90"
    assert report.statistics["image_size"]["most_common"][0] == [120, 90, 6]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.json", "findings.png"}


def test_real_data_set(voc_mini):
    """Nothing but what is known of these images."""
    data = mb.load_voc(voc_mini, [("2007", "val")], progress=False)[:40]
    report = check({"val": data}, anchors="ssd_mobilenet")
    assert report.statistics["splits"]["val"]["images"] == 40
    assert report.statistics["splits"]["val"]["objects"] == sum(len(r.labels) for r in data)
    assert not [f for f in report.findings if f.severity == "error"]
    assert report.coverage.anchors == mb.anchors.SSD_MOBILENET_V1


def test_arguments_that_are_no_data_set(images):
    with pytest.raises(
        TypeError, match="data must be a DetectionDataset or a dictionary of splits, got list"
    ):
        check([record(images[0])])
    for source, kind in (([record(images[0])], "Record"), ("data.csv", "str")):
        with pytest.raises(TypeError, match=f"'train' must be a DetectionDataset, .* but it has a {kind}"):
            check({"train": source})
    with pytest.raises(TypeError, match="positional"):
        mb.check_dataset({"train": []}, ("dog",))
