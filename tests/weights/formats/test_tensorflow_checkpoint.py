"""Checkpoints of TensorFlow: values, several blocks, and files that are refused."""

import keras
import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import bundle_entry, integer, table, write_checkpoint

from multibox.weights.formats.recognize import recognize
from multibox.weights.formats.tensorflow_checkpoint import read_checkpoint

STATE = {f"layer_{i}/weights": np.arange(6, dtype=np.float32).reshape(2, 3) + i for i in range(50)}
STATE |= {
    "global_step": np.array(7, np.int64),
    "half": np.array([1.5], np.float16),
    "empty": np.zeros((0, 2)),
}


def test_every_array_is_that_of_the_file(tmp_path):
    path = write_checkpoint(tmp_path / "model.ckpt-7", STATE)
    assert path.name == "model.ckpt-7.index" and recognize(path) == "tensorflow-checkpoint"
    found = read_checkpoint(path)
    assert list(found) == sorted(STATE)
    for name, array in found.items():
        assert array.dtype == (np.int64 if name == "global_step" else np.float32)
        assert array.shape == STATE[name].shape
        np.testing.assert_array_equal(array, STATE[name])


def test_the_ending_of_tensorflow_2_is_left_out(tmp_path):
    name = "model/layer-1/kernel"
    path = write_checkpoint(tmp_path / "ckpt-1", {f"{name}/.ATTRIBUTES/VARIABLE_VALUE": np.float32([[1]])})
    assert list(read_checkpoint(path)) == [name]


def test_a_checkpoint_of_tensorflow(tmp_path):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("importing TensorFlow takes long, and the backend is another one")
    import tensorflow

    variables = {name.replace("/", "_"): tensorflow.Variable(array) for name, array in STATE.items()}
    prefix = tensorflow.train.Checkpoint(**variables).write(str(tmp_path / "ckpt"))
    found = read_checkpoint(f"{prefix}.index")
    assert variables.keys() <= found.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(found[name.replace("/", "_")], array)


NUMBERS = np.zeros(6, np.float32)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"shape": (7,)}, r"'w' of shape \[7\] with 24 bytes"),
        ({"shape": (2**62,)}, "with 24 bytes"),
        ({"size": 28, "shape": (7,)}, "'w' beyond the end of its data file"),
        ({"shard": 1}, "data file 1 of 1"),
        ({"kind": 7}, "no variables"),  # text
    ],
)
def test_entries_that_are_refused(tmp_path, fields, words):
    path = write_checkpoint(tmp_path / "x", {"w": NUMBERS}, **fields)
    with pytest.raises(ValueError, match=words) as error:
        read_checkpoint(path)
    assert str(error.value).startswith(f"{path}: expected the index of a TensorFlow checkpoint")


def test_files_that_are_refused(tmp_path):
    path = write_checkpoint(tmp_path / "x", {"w": NUMBERS})
    sound = path.read_bytes()
    path.write_bytes(sound[:4] + b"\xff" + sound[5:])
    with pytest.raises(ValueError, match="found"):
        read_checkpoint(path)
    path.write_bytes(sound[:-1])
    with pytest.raises(ValueError, match="another file, or one that was cut off"):
        read_checkpoint(path)
    header = integer(1, 1) + integer(2, 1)
    path.write_bytes(table([(b"", header), (b"w", bundle_entry(NUMBERS, 0))]))
    with pytest.raises(ValueError, match="big-endian numbers"):
        read_checkpoint(path)
    path.write_bytes(table([(b"", integer(1, 1)), (b"\xff", bundle_entry(NUMBERS, 0))]))
    with pytest.raises(ValueError, match="a name that is not text"):
        read_checkpoint(path)
    path.write_bytes(sound)
    (tmp_path / "x.data-00000-of-00001").unlink()
    with pytest.raises(ValueError, match=r"x\.index: .* no file x\.data-00000-of-00001 beside it"):
        read_checkpoint(path)


def test_damaged_files_are_refused_or_read(tmp_path):
    path = write_checkpoint(tmp_path / "x", STATE)
    data = path.read_bytes()
    variants = list(cut_off(data, 100))
    assert refused_or_read(read_checkpoint, path, variants, 300_000) == len(variants)
    refused_or_read(read_checkpoint, path, flipped(data, 400), 300_000)
