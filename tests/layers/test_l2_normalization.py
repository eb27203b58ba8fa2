import keras
import numpy as np
import pytest
from layer_contract import check_layer

from multibox.layers import L2Normalization


def test_contract_and_value_by_hand(tmp_path):
    x = np.array([[[[3.0, 4.0], [0.0, 0.0]]]], np.float32)  # one row of two positions
    output = check_layer(L2Normalization(scale=20.0), [x], tmp_path)
    np.testing.assert_allclose(output, [[[[12.0, 16.0], [0.0, 0.0]]]], rtol=1e-6)


def test_channels_have_their_own_scale():
    layer = L2Normalization()
    layer.build((None, 1, 1, 2))
    layer.set_weights([np.array([10.0, 1.0], np.float32)])
    output = keras.ops.convert_to_numpy(layer(np.array([[[[3.0, 4.0]]]], np.float32)))
    np.testing.assert_allclose(output, [[[[6.0, 0.8]]]], rtol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_large_values_survive_half_precision(policy):
    # The squares of these sum to 8e6, far beyond float16.
    layer = L2Normalization(dtype=policy)
    output = layer(np.full((1, 1, 1, 512), 125.0, np.float32))
    assert keras.backend.standardize_dtype(output.dtype) == policy.removeprefix("mixed_")
    expected = 20 / np.sqrt(512)
    values = keras.ops.convert_to_numpy(keras.ops.cast(output, "float32"))
    np.testing.assert_allclose(values, expected, rtol=8e-3)


def test_config_holds_the_scale():
    assert L2Normalization(scale=7.0).get_config()["scale"] == 7.0
