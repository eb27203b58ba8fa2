"""`multibox pretrained`: the table, and a download."""

import zipfile

import pytest
from typer.testing import CliRunner

from multibox.cli import app
from multibox.weights.published import SOURCES


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path))
    return tmp_path


def command(*arguments):
    return CliRunner().invoke(app, ["pretrained", *arguments])


def test_the_table(cache):
    (cache / "ssdlite320_mobilenet_v3_large_coco-a79551df.pth").write_bytes(bytes(250_000))
    lines = command().output.splitlines()
    rows = dict(zip(lines[1:29:2], lines[2:30:2], strict=False))
    assert lines[0] == "name                         network                MB   mAP  license"
    ssd300 = "ssd300_coco                  SSD300              136.0  25.1  BSD-3-Clause"
    assert lines[1] == ssd300
    assert rows[ssd300] == "  https://download.pytorch.org/models/ssd300_vgg16_coco-b556d3b4.pth"
    here = "ssdlite_coco                 SSDLite               0.2  21.3  BSD-3-Clause"
    assert rows[here] == f"  {cache}/ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    assert "vgg16_imagenet               VGG16               553.5     -  CC BY 4.0" in rows
    assert len(rows) == len(SOURCES) == 14
    assert all(len(line) <= 80 for line in lines if not line.startswith("  "))


def test_a_download(cache, monkeypatch):
    archive = cache / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("detect.tflite", b"weights")
    result = command("ssd_mobilenet_coco")
    assert result.exit_code == 0, result.output
    path = cache / "coco_ssd_mobilenet_v1_1.0_quant_2018_06_29-detect.tflite"
    assert result.output.replace("\n", "") == f"ssd_mobilenet_coco: {path}"
    assert path.read_bytes() == b"weights"


def test_an_unknown_name():
    error = command("ssd_mobilenet").exception
    assert isinstance(error, ValueError)
    assert str(error).startswith("no published weights 'ssd_mobilenet'; there are: vgg16_imagenet, ")
    assert str(error).endswith("; did you mean 'ssd_mobilenet_coco'?")
