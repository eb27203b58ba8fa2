from dataclasses import replace

import numpy as np
import pytest

from multibox.data_generator import DetectionDataset, load_shapes


def test_length_indexing_slices_and_repr():
    dataset = load_shapes(5)
    assert len(dataset) == 5
    assert dataset[-1].image_id == "shapes-0-4"
    part = dataset[1:3]
    assert isinstance(part, DetectionDataset)
    assert [r.image_id for r in part] == ["shapes-0-1", "shapes-0-2"]
    objects = sum(len(r.labels) for r in part)
    assert repr(part) == f"<shapes: 2 images, {objects} objects of 4 classes>"


@pytest.mark.parametrize(("names", "message"), [((), "at least one class"), (("a", "a"), "must be unique")])
def test_impossible_class_names(names, message):
    with pytest.raises(ValueError, match=message):
        DetectionDataset(names, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0])}, r"labels must be in 1\.\.4 \(0 is background\), got \[0\]"),
        ({"labels": np.array([5])}, r"labels must be in 1\.\.4"),
        ({"labels": np.array([1, 1])}, r"expected boxes \(objects, 4\) and as many labels"),
        ({"boxes": np.array([[5, 5, 5, 9]])}, "boxes must have an area and lie inside the image of 192x192"),
        ({"boxes": np.array([[5, 5, 500, 9]])}, "lie inside the image"),
        ({"boxes": np.array([[-1, 5, 50, 9]])}, "lie inside the image"),
        ({"boxes": np.array([[np.nan, 5, 50, 9]])}, "lie inside the image"),
    ],
)
def test_records_that_would_spoil_a_training_are_named(change, message):
    one = np.zeros(1, bool)
    good = replace(
        load_shapes(1)[0],
        boxes=np.array([[1.0, 2, 30, 40]]),
        labels=np.array([1]),
        difficult=one,
        truncated=one,
        crowd=one,
    )
    DetectionDataset("abcd", [good])
    with pytest.raises(ValueError, match=f"shapes-0-0: .*{message}"):
        DetectionDataset("abcd", [good, replace(good, **change)])
