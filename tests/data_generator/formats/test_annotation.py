from pathlib import Path

import numpy as np

import multibox as mb
from multibox.data_generator.dataset import Record
from multibox.data_generator.formats.annotation import annotation_of


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
