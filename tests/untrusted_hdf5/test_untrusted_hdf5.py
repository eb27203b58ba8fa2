"""What h5py must not read: the types of attributes that end the interpreter, and declared sizes."""

import io

import h5py
import numpy as np
import pytest

from multibox.untrusted_hdf5 import (
    LayoutError,
    check_sizes,
    child,
    dataset,
    number_attribute,
    open_hdf5,
    text_attribute,
    texts_attribute,
)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.attrs.update(text="é", fixed=np.bytes_("b"), texts=["a", "b"], none=[], flag=True, number=2.5)
        file["numbers"] = np.arange(4)
        file["names"] = ["a", "b"]
        file["group/inner"] = np.ones(2, np.float32)
    with open_hdf5(tmp_path / "x.h5") as opened:
        yield opened


def test_attributes(file):
    assert text_attribute(file, "text") == "é"
    assert text_attribute(file, "fixed") == "b"
    assert texts_attribute(file, "texts") == ["a", "b"]
    assert texts_attribute(file, "none") == []
    assert number_attribute(file, "flag") is True
    assert number_attribute(file, "number") == 2.5


@pytest.mark.parametrize(
    ("read", "name", "message"),
    [
        (text_attribute, "absent", "/ without the attribute absent"),
        (text_attribute, "number", "the attribute number of /: expected a text, got numbers"),
        (text_attribute, "texts", "expected one text"),
        (texts_attribute, "text", "expected a list of texts"),
        (number_attribute, "text", "expected a number, got text"),
    ],
)
def test_wrong_attributes(file, read, name, message):
    with pytest.raises(LayoutError, match=message):
        read(file, name)


def test_arrays(file):
    np.testing.assert_array_equal(dataset(file, "numbers")[()], [0, 1, 2, 3])
    assert list(dataset(file, "names", texts=True).asstr()[()]) == ["a", "b"]
    assert dataset(file, "group/inner").shape == (2,)
    with pytest.raises(LayoutError, match="an array of type text in /names"):
        dataset(file, "names")
    with pytest.raises(LayoutError, match="4"):
        dataset(file, "numbers", max_bytes=8)
    with pytest.raises(LayoutError, match="no 'group/other' in group /group"):
        child(file, "group/other", h5py.Dataset)
    with pytest.raises(LayoutError, match="arrays of 32 bytes or more in a file of 1 bytes"):
        check_sizes([file["numbers"]], 1)


def test_a_text_whose_type_became_a_list(tmp_path):
    """The lowest bits of a type of variable length say whether it is a text; h5py reads a list of bytes then.

    Freeing it would end the interpreter.
    """
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file.attrs["name"] = "conv"
    data = path.read_bytes()
    kind = data.index(b"\x19\x01\x01\x00\x10\x00\x00\x00")  # version 1, class 9; text, UTF-8; 16 bytes
    path.write_bytes(data[: kind + 1] + b"\x00" + data[kind + 2 :])
    with open_hdf5(path) as file, pytest.raises(LayoutError, match="expected a text, got lists"):
        text_attribute(file, "name")


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("value", ["abcdefgh", ["abc", "defgh"]])
def test_texts_of_attributes_cannot_be_longer_than_the_file(libver, value):
    """The library would allocate 750 MB for this file of some KB before it compares the length."""
    content = io.BytesIO()
    with h5py.File(content, "w", libver=libver) as file:
        file.attrs["name"] = value
    data = bytearray(content.getvalue())
    with open_hdf5(bytes(data)) as file:
        (texts_attribute if isinstance(value, list) else text_attribute)(file, "name")
    last = "abcdefgh" if isinstance(value, str) else "defgh"
    kind = data.index(b"\x19\x01\x01\x00\x10\x00\x00\x00")
    length = data.index(len(last).to_bytes(4, "little"), kind + 24)
    data[length + 3] = 47
    refused = pytest.raises(LayoutError, match=r"an attribute of texts longer than the file at byte \d+")
    with refused, open_hdf5(bytes(data)):
        pass
