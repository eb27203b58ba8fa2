import keras
import numpy as np
import pytest
from layer_contract import check_layer

from multibox.layers import ImageNormalization


def test_caffe_pixels(tmp_path):
    layer = ImageNormalization(mean=[123.0, 117.0, 104.0], bgr=True)
    rgb = np.array([[[[124.0, 119.0, 107.0]]]], np.float32)
    np.testing.assert_array_equal(check_layer(layer, [rgb], tmp_path), [[[[3.0, 2.0, 1.0]]]])


def test_unit_pixels(tmp_path):
    layer = ImageNormalization(mean=127.5, scale=1 / 127.5)
    rgb = np.array([[[[0.0, 127.5, 255.0]]]], np.float32)
    np.testing.assert_allclose(check_layer(layer, [rgb], tmp_path), [[[[-1.0, 0.0, 1.0]]]], atol=1e-6)


@pytest.mark.parametrize("kind", [tuple, np.array])
def test_numbers_of_any_kind_are_saved(tmp_path, kind):
    layer = ImageNormalization(mean=kind([123.0, 117.0, 104.0]), scale=kind([1.0, 2.0, 0.5]))
    rgb = np.array([[[[124.0, 119.0, 106.0]]]], np.float32)
    np.testing.assert_array_equal(check_layer(layer, [rgb], tmp_path), [[[[1.0, 4.0, 1.0]]]])


def test_numbers_for_other_channels():
    for name in ("mean", "scale"):
        layer = ImageNormalization(**{"mean": 0.0, name: [1.0, 2.0, 3.0]})
        with pytest.raises(ValueError, match=f"{name} must be one number or one for each of the 4 channels"):
            layer(np.zeros((1, 2, 2, 4), np.float32))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "int32"])
def test_a_model_takes_pixels_of_any_type(dtype):
    image = keras.Input((1, 1, 3))
    model = keras.Model(image, ImageNormalization(mean=[123.0, 117.0, 104.0])(image))
    output = model.predict(np.array([[[[3, 117, 255]]]], dtype), verbose=0)
    np.testing.assert_array_equal(output, [[[[-120.0, 0.0, 151.0]]]])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
def test_the_layer_alone_takes_pixels_of_any_type(dtype):
    layer = ImageNormalization(mean=[123.0, 117.0, 104.0])
    output = keras.ops.convert_to_numpy(layer(np.array([[[[3, 117, 255]]]], dtype)))
    np.testing.assert_array_equal(output, [[[[-120.0, 0.0, 151.0]]]])
