import numpy as np
import pytest
from layer_contract import check_layer

from multibox.anchors import SSD300_VOC, AnchorLevel, AnchorSpec
from multibox.layers import AnchorBoxes


def test_contract_and_values_by_hand(tmp_path):
    spec = AnchorSpec((100, 200), (AnchorLevel((1, 2), ((50.0, 50.0),), (100.0, 100.0)),))
    output = check_layer(AnchorBoxes(spec), [np.zeros((1, 2, 6), np.float32)], tmp_path)
    expected = [[0.25, 0.5, 0.25, 0.5, 0.1, 0.1, 0.2, 0.2], [0.75, 0.5, 0.25, 0.5, 0.1, 0.1, 0.2, 0.2]]
    np.testing.assert_allclose(output, [expected], rtol=1e-6)


def test_predictions_of_another_model():
    with pytest.raises(ValueError, match="the spec has 8732 anchors, the predictions 5"):
        AnchorBoxes(SSD300_VOC)(np.zeros((1, 5, 25), np.float32))


def test_variances_are_those_of_the_spec(tmp_path):
    spec = AnchorSpec((8, 16), (AnchorLevel((1, 2), ((4.0, 6.0),), (8.0, 8.0)),), (0.3, 0.4, 0.5, 0.6))
    output = check_layer(AnchorBoxes(spec), [np.zeros((1, 2, 7), np.float32)], tmp_path)
    np.testing.assert_allclose(output[0, :, 4:], [[0.3, 0.4, 0.5, 0.6]] * 2, rtol=1e-6)
