"""The comparison of decoders leaves out what the order of equal scores decides, and nothing else."""

import warnings

import numpy as np
import pytest
from exported_files import small_model

import multibox as mb
from multibox.exporting import checking

CERTAIN, TIED = (100, 1, 4.0), [(420, 2, 3.0), (421, 2, 3.0)]  # anchor, class, logit


@pytest.fixture(scope="module")
def detector():
    return mb.to_inference(small_model(), iou_threshold=0.1)


def predictions(detector, *objects):
    values = np.zeros((1, checking.multibox_of(detector).output.shape[1], 4 + 1 + 3), np.float32)
    values[..., 4] = 9.0  # background
    for anchor, class_id, logit in objects:
        values[0, anchor, 4:] = [0.0] + [logit if i == class_id else 0.0 for i in (1, 2, 3)]
    return values


def test_equal_scores_in_another_order(detector):
    values = predictions(detector, CERTAIN, *TIED)
    (first, last) = (
        checking._decoded(detector, values[0], order) for order in (slice(None), slice(None, None, -1))
    )
    assert checking.largest_difference(first, last) > 0.01  # they overlap: each suppresses the other
    for found in (first, last):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            checking.check_decoder(detector, values, found[None])
    (warning,) = caught
    assert str(warning.message) == (
        "export: 1 of 2 detections of the pictures for the check have rivals with equal scores, and were not "
        "compared; is the network trained?"
    )


@pytest.mark.parametrize("objects", [(CERTAIN,), (CERTAIN, *TIED)])
@pytest.mark.parametrize("change", [0.0, 0.001, np.nan])
def test_what_is_certain_must_be_there(detector, objects, change):
    values = predictions(detector, *objects)
    found = checking._decoded(detector, values[0], slice(None, None, -1))
    found[found[:, 0] == 1, 1] *= change and 1 + change
    with pytest.raises(checking.DisagreementError, match="detections differ from those of Keras"):
        checking.check_decoder(detector, values, found[None])
