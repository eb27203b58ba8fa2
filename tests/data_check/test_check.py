from functools import partial

import pytest
from annotated_images import BOX, annotation, write_image

import multibox as mb
from multibox.data_check import check_dataset
from multibox.data_generator.formats.voc import scan_voc


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
    assert list(found) == ["missing-file", "unreadable-annotation", "no-objects"]
    assert "JPEGImages/c: no such image" in found["missing-file"].message
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
        with pytest.raises(ValueError, match="classes must be a sequence of names"):
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
