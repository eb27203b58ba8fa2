"""The formats that `export` writes, as a table."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Format(NamedTuple):
    """One format.

    Attributes:
        module: name of the module that writes it.
        suffix: ending of the path; "" for a folder.
        runtime: what runs it, for messages.
        extra: the extra of this package that installs what is needed.
        packages: names of the packages that are needed.
        precisions: what its numbers may be; the first is the default.
    """

    module: str
    suffix: str
    runtime: str
    extra: str
    packages: tuple[str, ...]
    precisions: tuple[str, ...] = ("float32",)


FORMATS = {
    "onnx": Format("onnx_file", ".onnx", "ONNX Runtime", "onnx", ("onnx", "onnxruntime")),
    "openvino": Format(
        "openvino_ir", ".xml", "OpenVINO", "openvino", ("onnx", "openvino"), ("float32", "bfloat16")
    ),
    "savedmodel": Format("saved_model", "", "TensorFlow", "tensorflow", ("tensorflow",)),
    "litert": Format(
        "litert",
        ".tflite",
        "LiteRT",
        "litert",
        ("tensorflow", "ai_edge_litert"),
        ("float32", "float16", "dynamic", "int8"),
    ),
    "web": Format("web", "", "ONNX Runtime", "onnx", ("onnx", "onnxruntime")),
}


def format_of(path: Path) -> str:
    """The name of the format that the ending of a path tells.

    Raises:
        ValueError: for another ending.
    """
    for name, about in FORMATS.items():
        if about.suffix and about.suffix == path.suffix.lower():
            return name
    endings = ", ".join(f"{about.suffix} ({name})" for name, about in FORMATS.items() if about.suffix)
    folders = [name for name, about in FORMATS.items() if not about.suffix]
    hint = f"; pass format for a folder: {' or '.join(folders)}" if folders else ""
    raise ValueError(f"export: path must end with {endings}, unless format is given{hint}; got {path}")
