"""The format "web": what is in the folder. What the page does is tested in a browser."""

import json
import re

import numpy as np
import pytest
from web_pages import HOSTILE, MEMBERS, SIZE, network, put_archive

import multibox as mb

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from multibox.exporting import web, web_runtime
from multibox.weights.download import DownloadError

PAGE = {"index.html", "page.css", "LICENSES.txt"} | {
    f"{name}.js" for name in ("camera", "detector", "objects", "page", "pixels", "view", "worker")
}
RUNTIME = {"ort.wasm.bundle.min.js", "ort-wasm-simd-threaded.wasm"}


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive in the cache, in place of the real one."""
    (tmp_path / "cache").mkdir()
    return put_archive(monkeypatch, tmp_path / "cache", MEMBERS)


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_the_folder_has_all_that_the_page_needs(tmp_path, archive):
    folder = mb.export(network(), tmp_path / "new" / "page", "web", confidence_threshold=0.05)
    assert names(folder) == PAGE | RUNTIME | {"model.onnx", "about.json"}
    assert (folder / "ort.wasm.bundle.min.js").read_bytes() == b"script"
    assert (folder / "ort-wasm-simd-threaded.wasm").read_bytes() == b"program"
    about = json.loads((folder / "about.json").read_text())
    assert about["class_names"] == ["cat", HOSTILE, None] and about["image_size"] == [64, 96]
    assert about["confidence_threshold"] == 0.05
    assert about["bytes"] == {
        "model.onnx": (folder / "model.onnx").stat().st_size,
        "ort-wasm-simd-threaded.wasm": 7,
    }
    assert len(mb.detect(folder / "model.onnx", np.zeros((50, 50, 3), np.uint8), min_score=0)) > 0


def test_the_page_names_no_other_host(tmp_path, archive):
    folder = mb.export(network(), tmp_path / "page", "web")
    for name in PAGE:
        text = (folder / name).read_text(encoding="utf-8")
        addresses = set(re.findall(r"(?:https?:)?//[\w.]+\.\w+[^\s'\"]*", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name  # the name of a format
    policy = re.search('Content-Security-Policy" content="([^"]+)"', (folder / "index.html").read_text())[1]
    assert "default-src 'none'" in policy and "'unsafe-inline'" not in policy


def test_the_licences_are_those_of_the_projects():
    text = (web._TEMPLATES / "LICENSES.txt").read_text()
    assert (web._TEMPLATES.parents[1] / "LICENSE").read_text() in text
    assert "Copyright (c) Microsoft Corporation" in text


def test_only_a_folder_of_an_export_is_replaced(tmp_path, archive):
    model, folder = network(), tmp_path / "page"
    (folder / "photos").mkdir(parents=True)
    with pytest.raises(FileExistsError, match="page exists already; it is not overwritten"):
        mb.export(model, folder, "web")
    with pytest.raises(
        FileExistsError, match="page exists already and is no export of this format; it is not"
    ):
        mb.export(model, folder, "web", overwrite=True)
    (folder / "about.json").touch()
    with pytest.raises(FileExistsError, match="page has photos, which no export wrote; it is not overwri"):
        mb.export(model, folder, "web", overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="file exists already"):
        mb.export(model, tmp_path / "file", "web", overwrite=True)
    (folder / "photos").rmdir()
    mb.export(model, folder, "web", overwrite=True)
    assert json.loads((folder / "about.json").read_text())["num_classes"] == 3
    assert names(tmp_path) == {"cache", "page", "file"} and (tmp_path / "file").read_text() == "mine"


def test_without_a_connection_the_message_tells_where_the_file_belongs(tmp_path, archive):
    archive.unlink()
    with pytest.raises(DownloadError) as caught:
        mb.export(network(), tmp_path / "page", "web")
    assert re.fullmatch(
        r"http://127.0.0.1:9/onnxruntime-web-0.tgz: no connection: .*; without a connection, put the file "
        rf"\({web_runtime.DIGEST}\) at .*/cache/onnxruntime-web-0.tgz",
        str(caught.value),
    )
    assert names(tmp_path) == {"cache"}


def test_a_model_for_four_channels_is_refused(tmp_path):
    model = mb.SSD7(3, image_size=SIZE, channels=4)
    with pytest.raises(ValueError, match="pictures in a browser have 3 channels, the model takes 4"):
        mb.export(model, tmp_path / "page", "web")


def test_a_full_disk_leaves_no_folder(tmp_path, archive, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/page/model.onnx'"):
        mb.export(network(), tmp_path / "page", "web")
    assert names(tmp_path) == {"cache"}
