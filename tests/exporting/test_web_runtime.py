import pytest
from caches import names
from web_pages import MEMBERS, WASM, accept, put_archive

from multibox.exporting import web_runtime
from multibox.weights.download import DownloadError


def test_only_the_named_members_are_read(tmp_path, monkeypatch):
    put_archive(monkeypatch, tmp_path, MEMBERS)
    assert web_runtime.runtime_files() == {
        "ort.wasm.bundle.min.js": b"script",
        "ort-wasm-simd-threaded.wasm": b"program",
    }
    assert names(tmp_path) == ["onnxruntime-web-0.tgz"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (None, f"it has no {WASM}"),
        ("/etc/passwd", f"{WASM} is no file of at most 1000 bytes"),
        (bytes(1001), f"{WASM} is no file of at most 1000 bytes"),
    ],
)
def test_an_archive_that_is_another_one(tmp_path, monkeypatch, content, fault):
    monkeypatch.setattr(web_runtime, "MAX_MEMBER", 1000)
    members = {name: data for name, data in (MEMBERS | {WASM: content}).items() if data is not None}
    put_archive(monkeypatch, tmp_path, members)
    with pytest.raises(ValueError, match=rf"web-0.tgz: cannot read it: {fault}; delete the archive"):
        web_runtime.runtime_files()


@pytest.mark.parametrize("length", [0, 5, 100])
def test_a_damaged_archive(tmp_path, monkeypatch, length):
    path = put_archive(monkeypatch, tmp_path, MEMBERS)
    path.write_bytes(path.read_bytes()[:length])
    accept(monkeypatch, path)
    with pytest.raises(ValueError, match=r"onnxruntime-web-0.tgz: cannot read it: .*; delete the archive"):
        web_runtime.runtime_files()


def test_too_many_members_are_not_counted(tmp_path, monkeypatch):
    put_archive(monkeypatch, tmp_path, MEMBERS)
    monkeypatch.setattr(web_runtime, "MAX_MEMBERS", 3)
    with pytest.raises(ValueError, match=f"it has no {WASM}"):
        web_runtime.runtime_files()


def test_an_archive_with_another_digest_is_not_used(tmp_path, monkeypatch):
    path = put_archive(monkeypatch, tmp_path, MEMBERS)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(DownloadError, match="the file that was there had another digest and was deleted"):
        web_runtime.runtime_files()
