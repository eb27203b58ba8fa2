import base64

import cv2
import numpy as np
import pytest
from reported_errors import data_with_errors

from multibox.data_generator import DetectionDataset, ImageError, Record
from multibox.eval_utils import error_types
from multibox.report import gallery
from multibox.report.gallery import worst_cases


def test_each_error_has_a_picture_with_its_boxes():
    data, detections = data_with_errors()
    cases, notes = worst_cases(error_types(detections, data), data)
    assert notes == []
    assert {(case.kind, case.caption) for case in cases} == {
        ("Miss", "dog not found, 40×40 pixels"),  # noqa: RUF001
        ("Bkg", "cat 0.50, nothing there"),
        ("Cls", "dog 0.85 is cat, IoU 1.00"),
        ("Cls", "dog 0.60 is cat, IoU 1.00"),
        ("Loc", "cat 0.70, loose box, IoU 0.38"),
        ("Both", "dog 0.40, wrong class and loose box, best IoU 0.33"),
        ("Dupe", "cat 0.80, found twice, IoU 0.95"),
    }
    # In turn, and the highest score of a type first.
    assert [case.kind for case in cases] == ["Miss", "Bkg", "Cls", "Loc", "Both", "Dupe", "Cls"]
    loose = cases[3]
    assert (loose.found, loose.truth) == ((75, 0, 90, 40), (50, 0, 90, 40))
    assert {case.kind: set(case.labels) for case in cases}["Cls"] == {1, 2}


def test_the_picture_is_the_part_of_the_image_around_the_boxes():
    data, detections = data_with_errors()
    miss = worst_cases(error_types(detections, data), data)[0][0]
    assert miss.cut == (40, 0, 100, 50)  # the box from 50, 0 to 90, 40 with three quarters, within the image
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(miss.picture), np.uint8), cv2.IMREAD_COLOR)
    assert pixels.shape[1::-1] == (miss.width, miss.height) == (280, 233)
    x, y, width, height = miss.rectangle(miss.truth)
    assert (x, y, width, height) == pytest.approx((46.7, 0, 186.7, 186.7), abs=0.1)
    blue, green, red = pixels[round(y + height / 2), round(x + width / 2)]
    assert blue > 150 > 80 > green
    assert red < 80


def many(count, labels=(1,)):
    """Images with a missed object each, labels in turn, the larger ones last."""
    records = []
    for i in range(count):
        box = np.array([[0, 0, 5 + i * 0.5, 10]], np.float32)
        label = np.array([labels[i % len(labels)]], np.int32)
        records.append(Record(str(i), lambda: np.zeros((50, 100, 3), np.uint8), 100, 50, box, label))
    return DetectionDataset(("a", "b"), records), [np.zeros((0, 6))] * count


def test_the_largest_objects_and_not_too_many():
    data, detections = many(40)
    cases, _ = worst_cases(error_types(detections, data), data)
    assert [case.image for case in cases] == list(range(39, 9, -1))


def test_a_rare_class_has_its_turn(monkeypatch):
    monkeypatch.setattr(gallery, "MAX_CASES", 6)
    data, detections = many(40, labels=(1, *[2] * 19))  # label 1: images 0 and 20
    cases, _ = worst_cases(error_types(detections, data), data)
    assert [case.image for case in cases] == [39, 38, 37, 36, 20, 0]


def test_images_that_cannot_be_read_are_counted():
    data, detections = many(3)

    def broken():
        raise ImageError("a\nb.jpg: truncated")

    lost = [Record("x", broken, 100, 50, r.boxes, r.labels) for r in data[:2]]
    data = DetectionDataset(("a", "b"), [*lost, data[2]])
    cases, notes = worst_cases(error_types(detections, data), data)
    assert [case.image for case in cases] == [2]
    assert notes == [r"2 images cannot be read, first: a\nb.jpg: truncated"]


def test_a_page_has_a_size(monkeypatch):
    data, detections = many(3)
    errors = error_types(detections, data)
    one = len(worst_cases(errors, data)[0][0].picture)
    monkeypatch.setattr(gallery, "MAX_BYTES", one + 10)
    cases, notes = worst_cases(errors, data)
    assert len(cases) == 1
    assert notes == ["2 pictures are left out, since the page would be too large"]
