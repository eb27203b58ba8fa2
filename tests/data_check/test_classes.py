from dataclasses import replace

import numpy as np
from annotated_images import BOX, annotation, write_image

from multibox.data_check.classes import class_findings, count_classes, label_findings, split_findings
from multibox.data_check.inspection import CheckedImage, ImageFacts, inspect_images


def check(tmp_path, classes, **splits):
    """Findings and counts of {split: names of the objects of its image}."""
    items = []
    for split, names in splits.items():
        path = write_image(tmp_path / f"{split}.png")
        items += inspect_images(split, [annotation(path, [BOX] * len(names), names)])
    counts = count_classes(items, splits, classes)
    return [(f.kind, f.split, f.count, f.message) for f in class_findings(items, classes, counts)], counts


def test_all_is_well(tmp_path):
    findings, counts = check(tmp_path, ("dog", "cat"), train=["cat", "dog", "cat"], val=["dog", "cat"])
    assert findings == []
    assert counts == {"train": {"dog": 1, "cat": 2}, "val": {"dog": 1, "cat": 1}}


def test_unknown_classes_are_counted(tmp_path):
    findings, counts = check(tmp_path, ("dog",), train=["dog", "cow", "hen", "hen"])
    assert findings == [
        ("unknown-class", "train", 2, "'hen', 2 objects, first in this image"),
        ("unknown-class", "train", 1, "'cow', 1 object, first in this image"),
    ]
    assert counts == {"train": {"dog": 1}}


def test_names_that_differ_in_writing(tmp_path):
    findings, _ = check(
        tmp_path, ("dining table", "c", "c++"), train=["dining table", "c", "c++", "DiningTable"]
    )
    assert findings == [
        ("unknown-class", "train", 1, "'DiningTable', 1 object, first in this image"),
        ("similar-names", None, 1, "'dining table', 'DiningTable'"),
    ]


def test_absent_classes(tmp_path):
    findings, _ = check(tmp_path, ("dog", "cat", "cow"), train=["dog", "cat"], val=["dog"])
    assert findings == [
        ("absent-class", "val", 1, "'cat' has no objects in val"),
        ("absent-class", None, 1, "'cow' has no objects"),
    ]


def test_crowd_regions_do_not_count(tmp_path):
    path = write_image(tmp_path / "a.png")
    (item,) = inspect_images("train", [annotation(path, [BOX, BOX], crowd=(True, False))])
    assert count_classes([item], ["train"], ("dog",)) == {"train": {"dog": 1}}


def test_imbalance(tmp_path):
    assert check(tmp_path, ("dog", "cat"), train=["dog"] * 9 + ["cat"])[0] == []
    findings, _ = check(tmp_path, ("dog", "cat"), train=["dog"] * 10 + ["cat"])
    assert findings == [("imbalance", None, 1, "'dog' has 10 objects, 'cat' has 1: 10 times as many")]


def test_labels_of_splits():
    same = {"train": ("dog", "cat"), "val": ("dog", "cat")}
    assert label_findings({}) == label_findings(same) == []
    (finding,) = label_findings({**same, "test": ("cat", "dog")})
    assert (finding.kind, finding.severity, finding.split) == ("different-classes", "error", "test")
    assert finding.message == "cat, dog; in train: dog, cat"
    assert finding.detail == {"classes": ["cat", "dog"], "other_split": "train", "other": ["dog", "cat"]}


def test_splits_without_objects_that_count(tmp_path):
    path = write_image(tmp_path / "a.png")
    empty, dog = annotation(path, []), annotation(path)
    crowd = annotation(path, crowd=[True])
    difficult = replace(dog, difficult=np.array([True]))
    sets = {
        "train": [empty, dog],
        "val": [empty, crowd],
        "test": [empty, difficult, difficult, crowd],
        "no": [],
    }
    items = [CheckedImage(split, a, ImageFacts()) for split, members in sets.items() for a in members]
    found = [(f.kind, f.split, f.message, f.severity) for f in split_findings(items, sets)]
    assert found == [
        ("no-objects-at-all", "val", "none of 2 images has an object", "warning"),
        ("all-difficult", "test", "all 2 objects", "warning"),
    ]
