from dataclasses import replace

import numpy as np
import pytest
from reported_errors import LEFT, picture

from multibox.data_generator import DetectionDataset, Record
from multibox.eval_utils import error_types
from multibox.report.groups import by_aspect, by_crowding, by_size


def record(name, *boxes):
    labels = np.ones(len(boxes), np.int32)
    return Record(name, picture, 300, 300, np.array(boxes, np.float32).reshape(-1, 4), labels)


SMALL, LARGE = [0, 0, 32, 32], [100, 100, 250, 250]
TALL = [50, 0, 60, 40]


def test_by_size():
    data = DetectionDataset(("a",), [record("0", SMALL, LEFT, LARGE)])
    rows = [[1, 0.9, *LARGE], [1, 0.8, 60, 0, 70, 10], [1, 0.7, *SMALL]]
    small, medium, large = by_size(error_types([np.array(rows)], data))
    # The false alarm is small, so it stands before the small object that is found, and not before the others.
    assert (small.objects, small.average_precision, small.found) == (1, 0.5, 1)
    assert (medium.objects, medium.average_precision, medium.found) == (1, 0, 0)
    assert (large.objects, large.average_precision, large.found) == (1, 1, 1)


def test_a_right_detection_belongs_to_the_group_of_its_object():
    data = DetectionDataset(("a",), [record("0", SMALL)])
    small, medium, _ = by_size(error_types([np.array([[1, 0.9, 0, 0, 34, 34]])], data))  # of medium size
    assert (small.average_precision, small.found) == (1, 1)
    assert medium.objects == 0


def test_by_aspect():
    data = DetectionDataset(("a",), [record("0", TALL, LEFT)])
    tall, upright, lying, wide = by_aspect(error_types([np.array([[1, 0.9, *TALL]])], data))
    assert (tall.objects, tall.average_precision) == (1, 1)
    assert (upright.objects, upright.average_precision) == (1, 0)  # as wide as tall
    assert (lying.objects, wide.objects) == (0, 0)
    assert np.isnan([lying.average_precision, lying.found]).all()


def test_by_crowding():
    data = DetectionDataset(("a",), [record("0", LEFT), record("1", LEFT, LARGE), record("2")])
    rows = [np.array([[1, 0.9, *LEFT]]), np.array([[1, 0.8, *LARGE]]), np.array([[1, 0.95, *LEFT]])]
    single, few, *_ = by_crowding(error_types(rows, data), data)
    assert (single.objects, single.average_precision) == (1, 0.5)  # with the alarm in the empty image
    assert few.objects == 2
    assert few.average_precision == pytest.approx(51 / 101)  # half of the objects; recalls 0 to 0.5


def test_difficult_objects_do_not_count():
    hard = replace(record("0", LEFT), difficult=np.array([True]))
    groups = by_size(error_types([np.array([[1, 0.9, *LEFT]])], DetectionDataset(("a",), [hard])))
    assert [group.objects for group in groups] == [0, 0, 0]
