"""Initializers of ONNX models: values, types, and files that are refused."""

import struct

import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import (
    ONNX_HEAD,
    integer,
    message,
    onnx_model,
    onnx_tensor,
    varint,
    write_caffemodel,
    write_onnx,
)

from multibox.weights.formats.onnx_file import looks_like_onnx, read_onnx
from multibox.weights.formats.recognize import recognize

STATE = {
    "features.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "features.0.bias": np.array([0.5, -1], np.float32),
    "half": np.array([[1.5, -2.25]], np.float16),
    "double": np.array([0.1], np.float64),
    "shape": np.array([1, -1], np.int64),
    "scalar": np.array(7, np.int64),
}
FIELDS = b"".join(integer(1, n) for n in (2, 3)) + integer(2, 1) + message(8, b"w")
NUMBERS = np.arange(6, dtype=np.float32)


def test_every_array_is_that_of_the_file(tmp_path):
    found = read_onnx(write_onnx(tmp_path / "x.onnx", STATE))
    assert list(found) == list(STATE)
    for name, array in found.items():
        expected = np.int64 if STATE[name].dtype == np.int64 else np.float32
        assert array.dtype == expected and array.shape == STATE[name].shape
        np.testing.assert_array_equal(array, STATE[name].astype(expected))


def test_a_file_of_the_onnx_package(tmp_path):
    onnx = pytest.importorskip("onnx")
    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in STATE.items()]
    tensors.append(onnx.helper.make_tensor("floats", 1, (2, 3), NUMBERS))  # as numbers, not as bytes
    tensors.append(onnx.helper.make_tensor("integers", 7, (2,), [3, -4]))
    graph = onnx.helper.make_graph([], "g", [], [], initializer=tensors)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "x.onnx")
    found = read_onnx(tmp_path / "x.onnx")
    assert list(found) == [*STATE, "floats", "integers"]
    np.testing.assert_array_equal(found["features.0.weight"], STATE["features.0.weight"])
    np.testing.assert_array_equal(found["floats"], NUMBERS.reshape(2, 3))
    assert found["integers"].tolist() == [3, -4]


@pytest.mark.parametrize(
    "data",
    [
        message(9, NUMBERS.tobytes()),
        message(4, NUMBERS.tobytes()),
        b"".join(varint(4 << 3 | 5) + struct.pack("<f", x) for x in NUMBERS),  # not packed
    ],
)
def test_forms_of_numbers(tmp_path, data):
    path = tmp_path / "x.onnx"
    path.write_bytes(onnx_model(FIELDS + data))
    np.testing.assert_array_equal(read_onnx(path)["w"], NUMBERS.reshape(2, 3))


def test_other_types_are_left_out(tmp_path):
    state = {"w": NUMBERS, "quantized": np.zeros(3, np.int8), "axes": np.zeros(2, np.int32)}
    assert list(read_onnx(write_onnx(tmp_path / "x.onnx", state))) == ["w"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (onnx_model(FIELDS + message(9, bytes(20))), r"'w' of shape \[2, 3\] with 20 bytes"),
        (onnx_model(FIELDS), r"'w' of shape \[2, 3\] with 0 bytes"),
        (onnx_model(FIELDS + message(13, b"") + integer(14, 1)), "in another file, which is not supported"),
        (onnx_model(FIELDS + integer(14, 1)), "save_as_external_data=False"),
        (onnx_model(FIELDS + message(3, b"")), "in parts"),
        (onnx_model(*[onnx_tensor("w", NUMBERS)] * 2), "two initializers 'w'"),
        (onnx_model(integer(1, 2) * 33 + integer(2, 1)), "a shape of more than 32 numbers"),
        (onnx_model(integer(2, 1) + message(8, b"\xff")), "a name that is not text"),
        (onnx_model(), "no initializers of floats"),
        (ONNX_HEAD + message(7, message(15, b"")), "a sparse initializer"),
        (ONNX_HEAD + message(70, b""), "field 70, which ModelProto does not have"),
        (ONNX_HEAD + integer(7, 1), "a graph of wire type 0"),
    ],
)
def test_refused(tmp_path, content, words):
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        read_onnx(path)
    assert str(error.value).startswith(f"{path}: expected an ONNX model")


def test_damaged_files_are_refused_or_read(tmp_path):
    data = write_onnx(tmp_path / "sound.onnx", STATE).read_bytes()
    path, memory = tmp_path / "x.onnx", 100_000
    refused_or_read(read_onnx, path, cut_off(data, 100), memory)
    refused_or_read(read_onnx, path, flipped(data, 400), memory)


def test_recognized_by_content(tmp_path):
    assert recognize(write_onnx(tmp_path / "a", STATE)) == "onnx"
    large = {"w": np.zeros(1 << 17, np.float32)}  # more than what is looked at
    assert recognize(write_onnx(tmp_path / "b", large)) == "onnx"
    assert recognize(write_caffemodel(tmp_path / "c", {"conv": [NUMBERS]})) == "caffe"
    assert not looks_like_onnx(message(1, b"name"))
    assert not looks_like_onnx(b"")
