from dataclasses import replace

import numpy as np
import pytest

from multibox.data_generator import DetectionDataset, Record, load_shapes


def record(image_id, labels, difficult=(), truncated=(), crowd=()):
    """A record whose objects carry their place as xmin; flags by place."""
    boxes = np.array([[i, 0, i + 1, 5] for i in range(len(labels))], np.float32).reshape(-1, 4)
    flags = [np.isin(np.arange(len(labels)), places) for places in (difficult, truncated, crowd)]
    return Record(image_id, f"{image_id}.jpg", 20, 10, boxes, np.array(labels, np.int32), *flags)


@pytest.fixture
def small():
    records = [record("p", [1, 3, 2, 3], difficult=[0], truncated=[1, 2]), record("q", []), record("r", [3])]
    return DetectionDataset(("cat", "dog", "cow"), records, "small")


def test_length_indexing_slices_and_repr():
    dataset = load_shapes(5)
    assert len(dataset) == 5
    assert dataset[-1].image_id == "shapes-0-4"
    part = dataset[1:3]
    assert isinstance(part, DetectionDataset)
    assert [r.image_id for r in part] == ["shapes-0-1", "shapes-0-2"]
    objects = sum(len(r.labels) for r in part)
    assert repr(part) == f"<shapes: 2 images, {objects} objects of 4 classes>"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "must have at least one name"),
        (("a", "a"), "'a' occurs more than once"),
        (("a", ""), "a name is empty"),
        (("a", "b "), "'b ' has blanks around it"),
        (("a", "b\x1b[2Jc"), "control characters"),
        (("a", None), "expected names, got None"),
        (("a", 5), "expected names, got 5"),
    ],
)
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
    DetectionDataset(list("abcd"), [good])
    with pytest.raises(ValueError, match=f"shapes-0-0: .*{message}"):
        DetectionDataset(list("abcd"), [good, replace(good, **change)])


def test_records_need_boxes_of_the_right_shape():
    bad = replace(record("a", [1]), boxes=np.zeros((1, 5)))
    with pytest.raises(ValueError, match=r"a: expected boxes .* got \(1, 5\), 1, 1, 1, 1"):
        DetectionDataset(("cat",), [record("b", [1]), bad])
    bad = replace(record("a", [1, 1]), crowd=np.zeros(3, bool))
    with pytest.raises(ValueError, match=r"a: expected .* got \(2, 4\), 2, 2, 2, 3"):
        DetectionDataset(("cat",), [record("b", [1]), bad])


def test_the_first_bad_record_is_named():
    records = [record("a", []), record("b", [1, 1]), record("c", [1, 2]), record("d", [3])]
    with pytest.raises(ValueError, match=r"^c: labels must be in 1\.\.1 .* got \[1, 2\]"):
        DetectionDataset(("cat",), records)


def test_repr_tells_flags_and_empty_images(small):
    assert repr(small) == (
        "<small: 3 images (1 without objects), 5 objects of 3 classes (1 difficult, 2 truncated)>"
    )
    crowd = DetectionDataset(("cat",), [record("a", [1], crowd=[0])])
    assert repr(crowd) == "<DetectionDataset: 1 images, 1 objects of 1 classes (1 crowd)>"
    assert repr(DetectionDataset(("cat",), [])) == "<DetectionDataset: 0 images, 0 objects of 1 classes>"


def test_class_counts(small):
    assert small.class_counts() == {"cat": 1, "dog": 1, "cow": 3}
    assert list(small.class_counts()) == ["cat", "dog", "cow"]
    assert small[1:2].class_counts() == {"cat": 0, "dog": 0, "cow": 0}
    assert small[:0].class_counts() == {"cat": 0, "dog": 0, "cow": 0}


def test_subset_of_classes_renumbers_labels_and_keeps_images(small):
    part = small.subset(["cow", "cat"])
    assert part.class_names == ("cow", "cat")
    assert [r.image_id for r in part] == ["p", "q", "r"]
    np.testing.assert_array_equal(part[0].labels, [2, 1, 1])
    assert part[0].labels.dtype == np.int32
    np.testing.assert_array_equal(part[0].boxes[:, 0], [0, 1, 3])
    np.testing.assert_array_equal(part[0].difficult, [True, False, False])
    np.testing.assert_array_equal(part[0].truncated, [False, True, False])
    assert small.subset(["dog"])[2].boxes.shape == (0, 4)
    np.testing.assert_array_equal(small[0].labels, [1, 3, 2, 3])


def test_subset_by_flags(small):
    np.testing.assert_array_equal(small.subset(exclude_difficult=True)[0].labels, [3, 2, 3])
    np.testing.assert_array_equal(small.subset(exclude_truncated=True)[0].labels, [1, 3])
    both = small.subset(["cow"], exclude_difficult=True, exclude_truncated=True)
    np.testing.assert_array_equal(both[0].boxes, [[3, 0, 4, 5]])
    assert small.subset().class_names == small.class_names


def test_subset_of_impossible_classes(small):
    with pytest.raises(
        ValueError, match=r"small: no class 'cab', 'x'; there are cat, dog, cow; did you mean 'cat'"
    ):
        small.subset(["cab", "dog", "x"])
    with pytest.raises(TypeError, match=r"subset: classes must be a sequence .*, got str 'cat'"):
        small.subset("cat")
    with pytest.raises(ValueError, match="'cat' occurs more than once"):
        small.subset(["cat", "cat"])
    with pytest.raises(ValueError, match="at least one name"):
        small.subset([])


def test_split():
    dataset = load_shapes(10)
    first, second = dataset.split(0.25, seed=3)
    ids = [[r.image_id for r in part] for part in (first, second)]
    assert (len(first), len(second)) == (2, 8)
    assert sorted(ids[0] + ids[1]) == sorted(r.image_id for r in dataset)
    order = np.random.default_rng(3).permutation(10)
    assert ids[0] == [f"shapes-0-{i}" for i in order[:2]]
    assert ids != [[r.image_id for r in part] for part in dataset.split(0.25, seed=4)]
    assert first.class_names == dataset.class_names


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5, float("nan")])
def test_split_by_an_impossible_fraction(fraction):
    with pytest.raises(ValueError, match=r"fraction must be (between 0 and 1|a number), got"):
        load_shapes(4).split(fraction)


def test_split_leaves_no_part_empty():
    for fraction in (0.1, 0.9):
        with pytest.raises(ValueError, match=r"of 4 images leaves a part without images"):
            load_shapes(4).split(fraction)


def test_sum(small):
    more = DetectionDataset(small.class_names, [record("s", [1])], "more")
    both = small + more
    assert [r.image_id for r in both] == ["p", "q", "r", "s"]
    assert both.name == "small + more"
    assert len(small) == 3
    with pytest.raises(TypeError):
        small + 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat", "dog"), r"the class names differ: only 'small' has 'cow'$"),
        (("cat", "dog", "cow", "x"), r"the class names differ: only 'more' has 'x'$"),
        (("cat", "dig", "cow"), r"only 'small' has 'dog'; only 'more' has 'dig'$"),
        (
            ("cat", "cow", "dog"),
            r"the same in another order: .* has 'dog' as label 2, .* has 'cow'; .*`subset\(classes\)`",
        ),
    ],
)
def test_sum_of_data_sets_with_other_classes(small, names, message):
    with pytest.raises(ValueError, match=message):
        small + DetectionDataset(names, [], "more")


def test_sum_with_an_image_in_both(small):
    with pytest.raises(ValueError, match=r"small \+ small: 3 image ids are in both, first p, q, r"):
        small + small
