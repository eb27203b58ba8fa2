from pathlib import Path

import numpy as np
import pytest

import multibox as mb
from multibox.data_generator.formats.annotation import (
    Annotation,
    annotation_of,
    assemble,
    raise_error,
    scan,
)
from multibox.data_generator.record import Record


def test_annotation_of_a_record():
    boxes = np.array([[10, 5, 40, 35], [0, 0, 9.5, 9]], np.float32)
    flags = [np.array(flag) for flag in ([True, False], [False, True], [True, True])]
    record = Record("a", Path("folder/a.png"), 60, 40, boxes, np.array([2, 1], np.int32), *flags)
    annotation = annotation_of(record, ("dog", "cat"))
    assert (annotation.image_id, annotation.size, annotation.relative) == ("a", (60, 40), False)
    path = str(Path("folder/a.png"))
    assert (annotation.image, annotation.path, annotation.where) == (path, path, path)
    assert annotation.names == ("cat", "dog")
    assert annotation.boxes.dtype == np.float64
    np.testing.assert_array_equal(annotation.boxes, boxes)
    for flag, values in zip(("difficult", "truncated", "crowd"), flags, strict=True):
        np.testing.assert_array_equal(getattr(annotation, flag), values)


def test_annotation_of_an_image_that_a_function_makes():
    (record,) = mb.load_shapes(1)
    annotation = annotation_of(record, mb.load_shapes(1).class_names)
    assert annotation.image is record.image
    assert (annotation.path, annotation.where) == (None, "shapes-0-0")


def annotation(image_id, boxes, names, size=(60, 40), **changes):
    flags = {flag: np.zeros(len(names), bool) for flag in ("difficult", "truncated", "crowd")}
    fields = {"image": f"{image_id}.png", "size": size, "where": f"{image_id}.xml", **flags, **changes}
    return Annotation(image_id, boxes=np.array(boxes, float).reshape(-1, 4), names=names, **fields)


def test_assemble():
    annotations = [
        annotation(
            "a", [[1, 2, 3, 4], [5, 5, 5, 5], [6, 7, 80, 9]], ("dog", "dog", "cat"), crowd=np.eye(3)[2] > 0
        ),
        annotation("b", [], ()),
        annotation("c", [[0.5, 0.25, 1, 1]], ("dog",), size=(20, 40), relative=True),
    ]
    with pytest.warns(UserWarning, match=r"source: boxes 1 without area, dropped \(first a: .*; 1 partly .*"):
        dataset = assemble(annotations, None, "name", "source")
    assert (dataset.class_names, dataset.name) == (("cat", "dog"), "name")
    assert [(r.image_id, r.image, r.width, r.height) for r in dataset] == [
        ("a", "a.png", 60, 40),
        ("b", "b.png", 60, 40),
        ("c", "c.png", 20, 40),
    ]
    np.testing.assert_array_equal(dataset[0].boxes, [[1, 2, 3, 4], [6, 7, 60, 9]])
    np.testing.assert_array_equal(dataset[0].labels, [2, 1])
    np.testing.assert_array_equal(dataset[0].crowd, [False, True])
    assert (dataset[1].boxes.shape, dataset[1].boxes.dtype, dataset[1].labels.dtype) == ((0, 4), "f4", "i4")
    np.testing.assert_array_equal(dataset[2].boxes, [[10, 10, 20, 40]])


def test_assemble_names_all_unknown_classes():
    annotations = [
        annotation("a", np.ones((3, 4)), ("cow", "cat", "owl")),
        annotation("b", [[1] * 4], ("cow",)),
    ]
    message = r"^source: unknown class 'cow' \(2, first in a\.xml\), 'owl' \(1, .*`classes` has cat, dog$"
    with pytest.raises(ValueError, match=message):
        assemble(annotations, ("cat", "dog"), "name", "source")


def test_assemble_passes_the_share_on():
    annotations = [annotation("a", np.full((6, 4), 5), ("cat",) * 6)]
    with pytest.raises(ValueError, match=r"6 \(100%\) dropped"):
        assemble(annotations, None, "name", "source")
    with pytest.raises(ValueError, match="source: max_dropped must be between 0 and 1, got 33"):
        assemble(annotations, None, "name", "source", max_dropped=33)
    with pytest.warns(UserWarning, match="6 without area"):
        assert len(assemble(annotations, None, "name", "source", max_dropped=1)[0].labels) == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "the name of a class must not be empty"),
        ("ca\x1bt", "the name of a class must not contain control"),
    ],
)
def test_every_reader_refuses_names_that_no_data_set_has(name, message):
    item = annotation("a", [[0, 0, 9, 9]], (name,))
    with pytest.raises(ValueError, match=rf"a\.xml: {message}"):
        list(scan([item], lambda item: item, raise_error, False, "x"))


def test_many_unknown_classes_are_cut_off():
    names = tuple(f"c{i}" for i in range(12))
    with pytest.raises(ValueError, match=r"unknown class 'c0' .* and 2 more; `classes` has dog"):
        assemble([annotation("a", [[0, 0, 9, 9]] * 12, names)], ("dog",), "x", "x")
