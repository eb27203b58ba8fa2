"""Recognizes the kind of a weight file by its content, because file names are not reliable."""

import zipfile
from pathlib import Path

from ...files import check_regular
from ...messages import one_line
from .caffe import looks_like_caffe
from .onnx_file import looks_like_onnx
from .tensorflow_checkpoint import MAGIC as CHECKPOINT_MAGIC
from .tensorflow_graph import looks_like_tensorflow_graph

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
# torch.save before version 1.6: a pickled magic number.
TORCH_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
READABLE = (
    "Keras files (.keras, .weights.h5, .h5), Caffe's .caffemodel, torch's .pth and .pt, TensorFlow's "
    ".tflite, frozen graphs (.pb) and checkpoints (.index), and .onnx"
)


def recognize(path):
    """Returns the kind of a weight file.

    Args:
        path: path of the file.

    Returns:
        "keras-hdf5", "keras-zip", "torch-zip", "torch-legacy", "caffe", "tflite", "onnx",
        "tensorflow-graph" or "tensorflow-checkpoint".

    Raises:
        OSError: if the file cannot be read.
        ValueError: for a folder, pipe or device, and for any other content; the message lists the kinds
            that can be read.
    """
    _check_saved_model(Path(path))
    check_regular(path)
    with Path(path).open("rb") as file:
        head = file.read(1 << 16)
        file.seek(max(0, file.seek(0, 2) - len(CHECKPOINT_MAGIC)))
        tail = file.read()
    if head.startswith(HDF5_SIGNATURE):
        return "keras-hdf5"
    if head.startswith(b"PK\x03\x04"):
        return _zip_kind(path)
    if head[4:8] == b"TFL3":
        return "tflite"
    if head.startswith(TORCH_LEGACY):
        return "torch-legacy"
    if tail == CHECKPOINT_MAGIC:
        return "tensorflow-checkpoint"
    if looks_like_onnx(head):
        return "onnx"
    if looks_like_tensorflow_graph(head):
        return "tensorflow-graph"
    if looks_like_caffe(head):
        return "caffe"
    raise ValueError(f"{path}: expected a weight file, found {_description(head)}; supported: {READABLE}")


def _check_saved_model(path):
    folder = path.parent if path.name == "saved_model.pb" else path
    if (folder / "saved_model.pb").exists():
        variables = folder / "variables" / "variables.index"
        raise ValueError(
            f"{path}: a SavedModel of TensorFlow has its weights in {variables}; for a model of the "
            "TensorFlow Object Detection API, take the checkpoint (.index) beside the folder"
        )


def _zip_kind(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise ValueError(
            f"{path}: expected a zip archive (.keras or .pth), found a damaged one: {one_line(error, 200)}"
        ) from None
    if any(name.rpartition("/")[2] == "data.pkl" for name in names):
        return "torch-zip"
    if "model.weights.h5" in names:
        return "keras-zip"
    listed = one_line(", ".join(names[:5]), 200) or "nothing"
    raise ValueError(
        f"{path}: expected model.weights.h5 (.keras) or data.pkl (.pth) in the zip archive, found {listed}; "
        f"supported: {READABLE}"
    )


def _description(head):
    if not head:
        return "an empty file"
    if head[:1] == b"\x80":
        return "a pickle, which is refused because it can contain code"
    if head.lstrip()[:1] in (b"<", b"{"):
        return "a text file (a web page saved instead of the weights?)"
    return f"the first bytes {head[:8]!r}"
