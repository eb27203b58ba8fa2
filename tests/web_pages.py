"""A small detector for the page of the format "web", and archives like that of onnxruntime-web."""

import hashlib
import io
import re
import tarfile

import keras

import multibox as mb
from multibox.exporting import web_runtime

SIZE = (64, 96)
HOSTILE = "<img src=x onerror=window.hit=1>"
NAMES = ("cat", HOSTILE, None)
WASM = "package/dist/ort-wasm-simd-threaded.wasm"
MEMBERS = {
    "package/README.md": b"readme",
    "package/dist/ort.wasm.bundle.min.mjs": b"script",
    f"../{WASM}": b"elsewhere",
    WASM: b"program",
}


def network():
    """Scores and boxes of untrained heads are nearly equal; larger kernels spread them."""
    keras.utils.set_random_seed(0)
    model = mb.SSD7(image_size=SIZE, class_names=NAMES)
    for layer in model.layers:
        if re.fullmatch(r"(classes|boxes)\d", layer.name):
            layer.kernel.assign(layer.kernel * 6)
    return model


def put_archive(monkeypatch, folder, members):
    """Puts an archive into a cache folder, in place of the real one; returns its path.

    Args:
        members: {name: content}; a text instead of bytes makes a link to that place.
    """
    monkeypatch.setenv("MULTIBOX_HOME", str(folder))
    monkeypatch.setattr(web_runtime, "URL", "http://127.0.0.1:9/onnxruntime-web-0.tgz")
    path = folder / "onnxruntime-web-0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, None if isinstance(content, str) else io.BytesIO(content))
    accept(monkeypatch, path)
    return path


def accept(monkeypatch, path):
    """Makes a file the expected one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(web_runtime, "DIGEST", f"sha256:{digest}")
