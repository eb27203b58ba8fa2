"""Caffe's binary files: both forms of layers, bit for bit; and files that are refused."""

import struct
import tracemalloc

import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import integer, message, varint

from multibox.weights.formats.caffe import looks_like_caffe, read_caffe

FILES = ("small_layer_form.caffemodel", "small_v1_layers_form.caffemodel")


@pytest.mark.parametrize("name", FILES)
def test_every_array_is_that_of_the_file_bit_for_bit(small_golden, name):
    layers = read_caffe(small_golden / "caffe" / name)
    expected = np.load(small_golden / "caffe" / "small_expected.npz")
    found = {f"{layer}__{i}": a for layer, arrays in layers.items() for i, a in enumerate(arrays)}
    absent = set() if name == FILES[0] else {"conv2_2_norm__0"}
    assert set(found) == set(expected.files) - absent
    for key, array in found.items():
        assert array.dtype == np.float32 and array.shape == expected[key].shape
        assert array.tobytes() == expected[key].tobytes()


def test_a_field_for_each_number_or_blob_takes_little_memory(tmp_path):
    path = tmp_path / "x.caffemodel"
    single = (varint(5 << 3 | 5) + struct.pack("<f", 1.5)) * 200_000
    path.write_bytes(layer(message(7, message(1, varint(200_000))) + single))
    tracemalloc.start()
    (array,) = read_caffe(path)["conv"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (array == 1.5).all() and peak < 5 * len(single)
    path.write_bytes(layer(*[b""] * 65))
    with pytest.raises(ValueError, match="layer 'conv' with more than 64 blobs"):
        read_caffe(path)
    path.write_bytes(layer(message(7, integer(1, 1) * 200) + PACKED))
    with pytest.raises(ValueError, match="blob 0 of layer 'conv' with a shape of 400 bytes"):
        read_caffe(path)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_refused_or_read(small_golden, tmp_path, name):
    data = (small_golden / "caffe" / name).read_bytes()
    path, memory = tmp_path / "x.caffemodel", 8 * len(data)
    cut = cut_off(data, 150)
    # Protobuf has no length of the whole: a cut between two layers is a smaller network.
    assert refused_or_read(read_caffe, path, cut, memory) >= len(cut) - 3
    # Only the bytes around the first layers, which describe; the rest are numbers, any of which is right.
    assert refused_or_read(read_caffe, path, flipped(data, 400, where=(0, 200)), memory) > 100
    refused_or_read(read_caffe, path, flipped(data, 200), memory)


# A network written here, field by field -----------------------------------------------------------------


def layer(*blobs, name=b"conv"):
    return message(
        100, message(1, name) + message(2, b"Convolution") + b"".join(message(7, b) for b in blobs)
    )


NUMBERS = np.arange(6, dtype=np.float32)
SHAPE = message(7, message(1, varint(2) + varint(3)))
PACKED = message(5, NUMBERS.tobytes())


@pytest.mark.parametrize(
    "blob",
    [
        SHAPE + PACKED,
        PACKED + SHAPE,
        message(7, integer(1, 2) + integer(1, 3)) + PACKED,  # dimensions not packed
        SHAPE + b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in NUMBERS),  # numbers not packed
        SHAPE + message(5, NUMBERS[:2].tobytes()) + message(5, NUMBERS[2:].tobytes()),  # in two parts
        SHAPE + message(8, NUMBERS.astype("<f8").tobytes()),  # double
        SHAPE + PACKED + message(6, NUMBERS.tobytes()),  # with gradients, which are not weights
        SHAPE + PACKED + integer(99, 5) + varint(98 << 3 | 1) + bytes(8),  # with fields of another version
    ],
)
def test_all_ways_to_write_a_blob(tmp_path, blob):
    path = tmp_path / "x.caffemodel"
    path.write_bytes(message(1, b"net") + layer(blob))
    (array,) = read_caffe(path)["conv"]
    np.testing.assert_array_equal(array, NUMBERS.reshape(2, 3))
    assert array.dtype == np.float32


@pytest.mark.parametrize(
    ("content", "message_part"),
    [
        (layer(message(7, message(1, varint(1 << 40))) + PACKED), "shape (1099511627776,) but 6 numbers"),
        (
            layer(message(7, message(1, varint(1) * 40)) + message(5, bytes(4))),
            "dimensions of more than 32 numbers",
        ),
        (layer(SHAPE + message(5, bytes(5))), "not an array of numbers"),
        (layer(SHAPE + PACKED) * 2, "two layers 'conv' with weights"),
        (layer(), "no layer with weights"),
        (layer(SHAPE + PACKED, name=b"\xff"), "a layer name that is not text"),
        (layer(SHAPE + PACKED) + b"\x0b", "wire type 3"),
        (layer(SHAPE + PACKED) + b"\x80" * 12, "more than ten bytes"),
        (layer(SHAPE + PACKED)[:-1], "cut off or damaged"),
        (integer(100, 7), "a layer of wire type 0"),
    ],
)
def test_errors_name_the_file_and_the_fault(tmp_path, content, message_part):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"net\.caffemodel: expected a Caffe model") as error:
        read_caffe(path)
    assert message_part in str(error.value)


HOSTILE = b"a\nERROR: all is well\x1b[31m" + b"x" * 10_000


@pytest.mark.parametrize(
    "content",
    [
        layer(SHAPE + PACKED, name=HOSTILE) * 2,
        layer(SHAPE + message(5, bytes(5)), name=HOSTILE),
        layer(SHAPE + PACKED + message(8, bytes(8)), name=HOSTILE),
        layer(message(7, message(1, varint(3) * 10_000)) + PACKED, name=HOSTILE),
    ],
)
def test_messages_stay_one_short_line_whatever_the_names(tmp_path, content):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"layer 'a\\nERROR: all is well\\x1b\[31mx+\.\.\.|two layers"
    ) as error:
        read_caffe(path)
    text = str(error.value).removeprefix(str(path))
    assert text.isascii() and text.isprintable() and len(text) < 400


def test_what_begins_like_a_network():
    assert looks_like_caffe(message(1, b"net") + layer(SHAPE + PACKED))
    assert looks_like_caffe(layer(SHAPE + PACKED)[:20])
    for other in (
        b"",
        b"\n",
        b"name: 'a text'",
        b"\nlayer { }\n" * 20,
        b"{}",
        b"\x89PNG\r\n\x1a\n",
        bytes(100),
    ):
        assert not looks_like_caffe(other)
