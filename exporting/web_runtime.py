"""The files of ONNX Runtime for browsers, from the npm package onnxruntime-web."""

from __future__ import annotations

import tarfile
from pathlib import Path

from ..messages import one_line
from ..weights.download import fetch

VERSION = "1.30.0"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
DIGEST = "sha256:d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
MAX_ARCHIVE = 64 << 20  # bytes
MAX_MEMBER = 32 << 20
MAX_MEMBERS = 10_000

SCRIPT, WASM = "ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm"
# {name in the archive: name in the folder}. Many servers do not know the ending .mjs, and browsers refuse a
# module that comes without the type of a script.
_MEMBERS = {"package/dist/ort.wasm.bundle.min.mjs": SCRIPT, f"package/dist/{WASM}": WASM}


def runtime_files() -> dict[str, bytes]:
    """The files that a page needs, {name: content}. They are downloaded once, see `fetch`.

    Raises:
        DownloadError: if the package is not available; says where to put it by hand.
        ValueError: if the package does not have the files.
    """
    archive = fetch(URL, DIGEST, MAX_ARCHIVE)
    try:
        return _read_members(archive)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        remedy = "delete the archive to download it again"
        raise ValueError(f"{archive}: cannot read it: {one_line(error, 200)}; {remedy}") from error


def _read_members(archive: Path):
    """Names in the archive are compared, never used as paths."""
    found: dict[str, bytes] = {}
    with tarfile.open(archive, "r:gz") as tar:
        for count, member in enumerate(tar):
            if count >= MAX_MEMBERS or len(found) == len(_MEMBERS):
                break
            if member.name in _MEMBERS:
                found[_MEMBERS[member.name]] = _content(tar, member)
    missing = [member for member, name in _MEMBERS.items() if name not in found]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    return found


def _content(tar, member):
    if not member.isreg() or member.size > MAX_MEMBER:
        raise ValueError(f"{member.name} is no file of at most {MAX_MEMBER} bytes")
    return tar.extractfile(member).read(member.size)
