import numpy as np
import pytest
from reported_errors import data_with_errors

from multibox.eval_utils import error_types
from multibox.report.measures import STEPS, all_curves


def test_curves_by_hand():
    data, detections = data_with_errors()
    together, (cat, dog) = all_curves(error_types(detections, data), data)
    # cat: right at 0.9, wrong at 0.8, 0.7 and 0.5, three objects.
    assert cat.average_precision == pytest.approx(34 / 101)
    assert (cat.num_objects, cat.num_detections) == (3, 4)
    at = dict(zip(np.round(STEPS, 2).tolist(), range(101), strict=True))
    assert cat.precision[[at[0.85], at[0.8], at[0.7], at[0.4]]] == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    assert cat.recall[[at[0.95], at[0.9], at[0.0]]] == pytest.approx([0, 1 / 3, 1 / 3])
    assert np.isnan(cat.precision[at[0.95]])
    assert cat.f1[at[0.85]] == pytest.approx(2 * (1 / 3) / (4 / 3))
    assert STEPS[cat.best] == pytest.approx(0.81)  # the least score without a wrong detection
    assert cat.at_recall[[at[0.0], at[0.33]]] == pytest.approx([1, 1])
    assert np.isnan(cat.at_recall[at[0.34]])
    assert dog.average_precision == 0
    assert (together.num_objects, together.num_detections) == (4, 7)
    assert together.precision[at[0.0]] == pytest.approx(1 / 7)


def test_a_class_without_objects_has_no_average_precision():
    data, detections = data_with_errors(names=("cat", "dog", "cow"))
    assert np.isnan(all_curves(error_types(detections, data), data)[1][2].average_precision)
