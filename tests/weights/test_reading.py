"""`read_weights`: each kind of file as named arrays."""

import numpy as np
import pytest
from foreign_files import keras2, tflite, write_caffemodel, write_onnx, write_pth

import multibox as mb

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
BIAS = np.array([1, 2], np.float32)


@pytest.mark.parametrize("write", [write_pth, write_onnx])
def test_torch_and_onnx(tmp_path, write):
    found = mb.read_weights(write(tmp_path / "x", {"a.weight": KERNEL, "a.bias": BIAS}))
    assert list(found) == ["a.weight", "a.bias"]
    np.testing.assert_array_equal(found["a.weight"], KERNEL)


def test_caffe_and_keras_are_numbered(tmp_path):
    found = mb.read_weights(write_caffemodel(tmp_path / "x", {"conv": [KERNEL, BIAS], "norm": [BIAS]}))
    assert list(found) == ["conv/0", "conv/1", "norm/0"]
    np.testing.assert_array_equal(found["conv/1"], BIAS)
    found = mb.read_weights(keras2(tmp_path / "y", {"conv": {"conv/kernel:0": KERNEL, "conv/bias:0": BIAS}}))
    assert list(found) == ["conv/0", "conv/1"]
    np.testing.assert_array_equal(found["conv/0"], KERNEL)


def test_quantized_numbers_become_what_they_stand_for(tmp_path):
    path = tmp_path / "x.tflite"
    path.write_bytes(tflite(kind=3, data=bytes(range(6)), scales=[0.5], zero_points=[3]))
    assert mb.read_weights(str(path))["kernel"].tolist() == [[-1.5, -1.0, -0.5], [0.0, 0.5, 1.0]]


def test_other_files(tmp_path):
    (tmp_path / "x").write_text("<html>")
    with pytest.raises(ValueError, match=r"x: expected a weight file, found a text file"):
        mb.read_weights(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        mb.read_weights(tmp_path / "y")
