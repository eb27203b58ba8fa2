"""TensorFlow Lite files: the constants of a real one, dequantized."""

import json

import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import tflite as model

from multibox.weights.formats.tflite import TFLiteTensor, read_tflite


def folder(golden):
    return golden / "ssd_mobilenet_v1_coco"


def test_every_array_of_a_real_file(golden):
    record = json.loads((folder(golden) / "layer_map.json").read_text())
    raw = (folder(golden) / record["file"]).read_bytes()
    tensors = read_tflite(folder(golden) / record["file"])
    checked = 0
    for layer in record["layers"]:
        for part in (layer["kernel"], layer["bias"]):
            tensor = tensors[part["tensor"]]
            size = part["byte_offset"], part["byte_offset"] + part["nbytes"]
            assert tensor.stored.tobytes() == raw[size[0] : size[1]]
            assert tensor.stored.dtype == part["dtype"] and list(tensor.stored.shape) == part["shape"]
            assert tensor.scale == np.float32(part["scale"]) and tensor.zero_point == part["zero_point"]
            values = tensor.values()
            assert values.dtype == np.float32
            tolerance = 1e-6 * part["float_abs_sum"]
            assert abs(values.sum(dtype=np.float64) - part["float_sum"]) <= tolerance
            assert abs(np.abs(values).sum(dtype=np.float64) - part["float_abs_sum"]) <= tolerance
            checked += 1
    assert checked == 94
    anchors = np.load(folder(golden) / "anchors.npz")
    np.testing.assert_array_equal(tensors["anchors"].values(), anchors["stored"])


def test_quantization_by_channel():
    stored = np.array([[0, 10], [20, 30]], np.uint8)
    scale, zero_point = np.array([1, 0.5], np.float32), np.array([10, 20])
    np.testing.assert_array_equal(TFLiteTensor(stored, scale, zero_point, 0).values(), [[-10, 0], [0, 5]])
    np.testing.assert_array_equal(TFLiteTensor(stored, scale, zero_point, 1).values(), [[-10, -5], [10, 5]])
    plain = TFLiteTensor(stored, np.zeros(0, np.float32), np.zeros(0, np.int64), 0).values()
    np.testing.assert_array_equal(plain, stored)
    # int32 as large as float32 cannot tell apart: the difference is taken first.
    close = TFLiteTensor(np.array([2**24 + 1], np.int32), np.ones(1, np.float32), np.array([2**24]), 0)
    assert close.values() == 1


def read(tmp_path, **options):
    path = tmp_path / "model.tflite"
    path.write_bytes(model(**options))
    return read_tflite(path)


def test_a_float_model(tmp_path):
    (tensor,) = read(tmp_path).values()
    np.testing.assert_array_equal(tensor.values(), np.arange(6).reshape(2, 3))


def test_constants_may_share_their_bytes_but_not_fill_the_memory(tmp_path):
    data = bytes(4000)
    options = {"shape": (1000,), "data": data}
    assert len(read(tmp_path, **options, names=[b"a", b"b"], count=2)) == 2
    names = [b"%d" % i for i in range(40)]
    with pytest.raises(ValueError, match=r"constants of \d+ bytes or more in \d+ bytes"):
        read(tmp_path, **options, names=names, count=40)


def test_an_int8_model_by_channel(tmp_path):
    options = {"kind": 9, "data": bytes(range(6)), "scales": [1, 2, 4], "axis": 1}
    values = read(tmp_path, **options, zero_points=[0, 1, 2])["kernel"].values()
    np.testing.assert_array_equal(values, [[0, 0, 0], [3, 6, 12]])
    values = read(tmp_path, **options)["kernel"].values()  # zero points left out: 0
    np.testing.assert_array_equal(values, [[0, 2, 8], [3, 8, 20]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (2, 4)}, r"24 bytes for tensor 'kernel' of shape \(2, 4\)"),
        ({"shape": (-2, -3)}, "shape"),
        ({"shape": (1,) * 100, "data": bytes(4)}, r"damaged tensor 'kernel' of shape \(1, 1, "),
        ({"shape": (1 << 30, 1 << 30)}, "shape"),
        ({"scales": [1, 2], "axis": 1}, "2 scales"),
        ({"scales": [1, 2], "axis": 5}, "2 scales"),
        ({"scales": [1, 2], "zero_points": [0], "axis": 0}, "1 zero points"),
        ({"scales": [1], "details": b"\x01"}, "custom quantization"),
        ({"buffer": 2}, "buffer 2 of 2"),
        ({"version": 4}, "schema version 4"),
        ({"name": b"\xff"}, "a tensor name that is not text"),
        ({"graphs": 0}, "no subgraph"),
        ({"count": 2}, "two constants"),
        ({"buffer": 0}, "no constant tensor"),
        ({"sparsity": bytes(4)}, "sparse"),
    ],
)
def test_errors_name_the_file_and_the_fault(tmp_path, options, message):
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path, **options)
    assert str(tmp_path / "model.tflite") in str(error.value)


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (2, 4)},
        {"shape": (3,) * 10_000},
        {"scales": [1, 2], "axis": 5},
        {"scales": [1], "details": b"\x01"},
        {"sparsity": bytes(4)},
        {"count": 2},
    ],
)
def test_messages_stay_one_short_line_whatever_the_names(tmp_path, options):
    with pytest.raises(ValueError, match=r"'a\\nERROR: all is well\\x1b\[31mx+\.\.\.'") as error:
        read(tmp_path, name=b"a\nERROR: all is well\x1b[31m" + b"x" * 10_000, **options)
    message = str(error.value).removeprefix(str(tmp_path))
    assert message.isascii() and message.isprintable() and len(message) < 400


def test_damaged_files_are_refused_or_read(tmp_path):
    path, data = tmp_path / "x.tflite", model(scales=[1.0])
    variants = [data[:n] for n in range(len(data))]
    assert refused_or_read(read_tflite, path, variants, 1 << 20) == len(variants)
    assert refused_or_read(read_tflite, path, flipped(data, 1000), 1 << 20) > 300


def test_damaged_real_files(golden, tmp_path):
    data = (folder(golden) / "ssd_mobilenet.tflite").read_bytes()
    path, memory = tmp_path / "x.tflite", 4 * len(data)
    cut = cut_off(data, 30)
    assert refused_or_read(read_tflite, path, cut, memory) >= len(cut) - 2
    tables = (len(data) - 60_000, len(data))
    refused_or_read(read_tflite, path, flipped(data, 30, where=(0, 200)), memory)
    assert refused_or_read(read_tflite, path, flipped(data, 60, where=tables), memory) > 2
