"""Constants of frozen TensorFlow graphs: values, types, and files that are refused."""

import struct

import keras
import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import (
    frozen_graph,
    graph_node,
    graph_tensor,
    integer,
    message,
    varint,
    write_caffemodel,
    write_onnx,
)

from multibox.weights.formats.recognize import recognize
from multibox.weights.formats.tensorflow_graph import looks_like_tensorflow_graph, read_tensorflow_graph

NUMBERS = np.arange(6, dtype=np.float32).reshape(2, 3)
STATE = {
    "conv/weights": np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2),
    "conv/biases": np.array([0.5, -1], np.float32),
    "double": np.array([0.1]),
    "half": np.array([1.5], np.float16),
    "axis": np.array(-1, np.int32),
    "shape": np.array([1, 2**40], np.int64),
}
SHAPE = message(2, message(2, integer(1, 2)) + message(2, integer(1, 3)))
FLOAT = integer(1, 1)


def written(tmp_path, content):
    (tmp_path / "x.pb").write_bytes(content)
    return tmp_path / "x.pb"


def test_every_array_is_that_of_the_file(tmp_path):
    found = read_tensorflow_graph(written(tmp_path, frozen_graph(STATE)))
    assert list(found) == list(STATE)
    for name, array in found.items():
        expected = np.float32 if STATE[name].dtype.kind == "f" else np.int64
        assert array.dtype == expected and array.shape == STATE[name].shape
        np.testing.assert_array_equal(array, STATE[name].astype(expected))


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (FLOAT + SHAPE + message(5, NUMBERS.tobytes()), NUMBERS),
        (FLOAT + SHAPE + b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in NUMBERS.flat), NUMBERS),
        (FLOAT + SHAPE + message(5, np.float32(7).tobytes()), np.full((2, 3), 7)),  # equal numbers
        (FLOAT + SHAPE + message(5, np.float32([1, 2, 7]).tobytes()), [[1, 2, 7], [7, 7, 7]]),
        (integer(1, 2) + SHAPE + message(6, np.float64(0.5).tobytes()), np.full((2, 3), 0.5)),
        (integer(1, 3) + SHAPE + integer(7, 2**64 - 2), np.full((2, 3), -2)),
        (integer(1, 19) + SHAPE + integer(13, 0x3E00), np.full((2, 3), 1.5)),  # the bits of a half float
        (integer(1, 9) + SHAPE + message(10, bytes([1, 2, 3])), [[1, 2, 3], [3, 3, 3]]),
    ],
)
def test_forms_of_numbers(tmp_path, tensor, expected):
    path = written(tmp_path, frozen_graph({"kernel": NUMBERS, "w": tensor}))
    np.testing.assert_array_equal(read_tensorflow_graph(path)["w"], expected)


def test_a_graph_of_tensorflow(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("importing TensorFlow takes long, and the backend is another one")
    import tensorflow

    graph = tensorflow.Graph()
    with graph.as_default():
        for name, array in STATE.items():
            tensorflow.constant(array, name=name)
        tensorflow.constant("text", name="text")
        tensorflow.constant(0.25, shape=(3, 4), name="equal")
    found = read_tensorflow_graph(written(tmp_path, graph.as_graph_def().SerializeToString()))
    assert set(found) == {*STATE, "equal"}
    np.testing.assert_array_equal(found["conv/weights"], STATE["conv/weights"])
    np.testing.assert_array_equal(found["equal"], np.full((3, 4), 0.25))
    assert found["axis"] == -1 and found["shape"].tolist() == [1, 2**40]


HUGE = message(2, message(2, integer(1, 1 << 30)))


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (FLOAT + SHAPE, r"'w' of shape \[2, 3\] with 0 bytes"),
        (FLOAT + SHAPE + message(4, bytes(4)), r"'w' of shape \[2, 3\] with 4 bytes"),
        (FLOAT + SHAPE + message(4, bytes(28)), r"'w' of shape \[2, 3\] with 28 bytes"),
        (FLOAT + SHAPE + message(4, bytes(7)), "with 7 bytes"),
        (FLOAT + HUGE + message(5, bytes(4)), "more than 16777216 repeated numbers"),
        (FLOAT + message(2, message(2, integer(1, 1)) * 33), "more than 32 dimensions"),
        (FLOAT + message(2, integer(2, 7)), "a dimension of wire type 0"),
        (message(1, b""), "a type of wire type 2"),
    ],
)
def test_tensors_that_are_refused(tmp_path, tensor, words):
    path = written(tmp_path, frozen_graph({"kernel": NUMBERS, "w": tensor}))
    with pytest.raises(ValueError, match=words) as error:
        read_tensorflow_graph(path)
    assert str(error.value).startswith(f"{path}: expected a frozen TensorFlow graph")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (frozen_graph({}), "no kernels"),
        (frozen_graph({"a": np.zeros(3, np.float32)}), "no kernels"),
        (frozen_graph({"a": NUMBERS}) * 2, "two constants 'a'"),
        (frozen_graph({"a": NUMBERS}) + message(9, b""), "field 9, which GraphDef does not have"),
        (graph_node("a", "Const", value=message(8, graph_tensor(NUMBERS)))[:-1], "cut off or damaged"),
        (integer(1, 7), "a node of wire type 0"),
    ],
)
def test_graphs_that_are_refused(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        read_tensorflow_graph(written(tmp_path, content))


def test_damaged_files_are_refused_or_read(tmp_path):
    data, path = frozen_graph(STATE), tmp_path / "x.pb"
    refused_or_read(read_tensorflow_graph, path, cut_off(data, 100), 150_000)
    refused_or_read(read_tensorflow_graph, path, flipped(data, 400), 80_000_000)


def test_recognized_by_content(tmp_path):
    assert recognize(written(tmp_path, frozen_graph(STATE))) == "tensorflow-graph"
    large = graph_node("a", "Const", value=message(8, graph_tensor(np.zeros((300, 300), np.float32))))
    assert recognize(written(tmp_path, large)) == "tensorflow-graph"
    assert recognize(write_onnx(tmp_path / "o", {"w": NUMBERS})) == "onnx"
    assert recognize(write_caffemodel(tmp_path / "c", {"conv": [NUMBERS]})) == "caffe"
    assert not looks_like_tensorflow_graph(message(1, b"name") + message(100, b""))
    assert not looks_like_tensorflow_graph(b"")
