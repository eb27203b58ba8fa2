"""The kind of a file is recognized by its content."""

import io
import os
import pickle
import zipfile

import h5py
import pytest

from multibox.weights.formats.caffe import read_caffe
from multibox.weights.formats.keras_file import read_keras
from multibox.weights.formats.limits import MAX_FILE
from multibox.weights.formats.recognize import recognize
from multibox.weights.formats.tflite import read_tflite
from multibox.weights.formats.torch_file import read_torch


def archive(*names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, b"")
    return buffer.getvalue()


def hdf5():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w"):
        pass
    return buffer.getvalue()


KNOWN = {
    "keras-hdf5": hdf5(),
    "keras-zip": archive("metadata.json", "config.json", "model.weights.h5"),
    "torch-zip": archive("some name/data.pkl", "some name/version"),
    "torch-legacy": pickle.dumps(0x1950A86A20F9469CFC6C, 2) + b"...",
    "tflite": b"\x18\x00\x00\x00TFL3\x00\x00\x0e\x00",
    "caffe": b"\x0a\x03net\xa2\x06\x06\x0a\x04conv",
}


@pytest.mark.parametrize("kind", KNOWN)
def test_by_content_whatever_the_name(tmp_path, kind):
    for name in ("weights.h5", "weights.pth", "weights"):
        path = tmp_path / name
        path.write_bytes(KNOWN[kind])
        assert recognize(path) == kind


def test_real_files(golden):
    assert recognize(golden / "torchvision" / "ssdlite320_random.pth") == "torch-zip"
    assert recognize(golden / "ssd_mobilenet_v1_coco" / "ssd_mobilenet.tflite") == "tflite"
    for form in ("layer", "v1_layers"):
        assert recognize(golden / "caffe" / f"small_{form}_form.caffemodel") == "caffe"
    for other in (golden / "caffe").glob("*.npz"):
        with pytest.raises(ValueError, match="expected model"):
            recognize(other)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b'{"weights": []}', "a text file"),
        (b'name: "VGG"\nlayer {', "the first bytes"),
        (pickle.dumps({"w": 1}), "a pickle"),
        (b"PK\x03\x04 and no more", "damaged"),
        (archive("readme.txt"), "readme.txt"),
        (b"\x00" * 100, "the first bytes"),
    ],
)
def test_others_are_refused_with_what_is_read(tmp_path, content, found):
    path = tmp_path / "weights.h5"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=found) as error:
        recognize(path)
    assert str(path) in str(error.value)
    if found != "damaged":
        for kind in (".keras", ".weights.h5", ".caffemodel", ".pth", ".tflite"):
            assert kind in str(error.value)


@pytest.mark.parametrize("reader", [recognize, read_caffe, read_keras, read_tflite, read_torch])
def test_what_is_no_file_is_not_opened(tmp_path, reader):
    os.mkfifo(tmp_path / "pipe")
    for path, what in (
        (tmp_path / "pipe", "a named pipe"),
        ("/dev/zero", "a device"),
        (tmp_path, "a folder"),
    ):
        with pytest.raises(ValueError, match=rf"{path}: expected a file, but this is {what}"):
            reader(path)


def test_a_saved_model_of_tensorflow_is_told_from_its_weights(tmp_path):
    folder = tmp_path / "saved_model"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(b"\x08\x01\x12\x00")
    for path in (folder, folder / "saved_model.pb"):
        with pytest.raises(ValueError, match=r"has its weights in .*saved_model/variables/variables\.index"):
            recognize(path)


@pytest.mark.parametrize("reader", [read_caffe, read_tflite, read_torch])
def test_a_file_that_is_too_large_is_not_read(tmp_path, reader):
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_FILE + 1)  # takes no place on the disk
    with pytest.raises(ValueError, match=r"large: file is too large: 4294967297 bytes"):
        reader(tmp_path / "large")


def test_names_in_an_archive_cannot_write_lines_of_their_own(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a\nall is well\x1b[0m", b"")
    with pytest.raises(ValueError, match=r"found a\\nall is well\\x1b\[0m; supported"):
        recognize(path)
