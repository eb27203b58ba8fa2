import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from annotated_images import write_image
from PIL import Image

from multibox import cli, demo

WRITTEN = (
    "detector.keras",
    "history.csv",
    "loss.png",
    "detections.png",
    "ap.txt",
    "best.keras",
    "last.keras",
)


def run(monkeypatch, *arguments):
    """The exit status of `multibox <arguments>`."""
    monkeypatch.setattr(sys, "argv", ["multibox", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code


def test_demo_writes_what_it_says(tmp_path, monkeypatch, capsys):
    small = demo.run_demo

    def run(folder, epochs):
        return small(folder, num_train=8, num_test=4, epochs=epochs, batch_size=4)

    monkeypatch.setattr(demo, "run_demo", run)
    monkeypatch.setattr(
        sys, "argv", ["multibox", "demo", "--output", str(tmp_path / "demo"), "--epochs", "1"]
    )
    for folder in ("demo", "demo-2"):  # an earlier run is kept
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        written = {p.name for p in (tmp_path / folder).iterdir() if not p.name.startswith(".")}
        for name in WRITTEN:
            assert name in printed
            assert name in written
        assert str(tmp_path / folder) in printed
        assert written == set(WRITTEN)
        section = re.search(r'see "(.+)" in README.md', printed)[1]
        assert f"\n## {section}\n" in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
        assert (tmp_path / folder / "ap.txt").read_text().strip() in printed


def test_errors_are_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(sys, "argv", ["multibox", "demo", "--output", str(tmp_path / "file" / "x")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith("multibox: ")
    assert "Traceback" not in error


def test_help_names_the_commands():
    code = "import sys; sys.argv = ['multibox', '--help']; from multibox import cli; cli.main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "demo" in result.stdout
    assert "check" in result.stdout


OBJECT = (
    "<object><name>dog</name>"
    "<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>{}</xmax><ymax>35</ymax></bndbox></object>"
)


@pytest.fixture
def voc(tmp_path):
    """A clean folder in VOC layout with the sets train and val, one image of 60 x 40 each."""
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    for seed, name in enumerate(("train", "val")):
        (tmp_path / f"ImageSets/Main/{name}.txt").write_text(f"{name}1\n")
        (tmp_path / f"Annotations/{name}1.xml").write_text(f"<annotation>{OBJECT.format(40)}</annotation>")
        write_image(tmp_path / f"JPEGImages/{name}1.jpg", seed=seed)
    return tmp_path


def test_check_of_a_clean_data_set(voc, monkeypatch, capsys):
    assert run(monkeypatch, "check", "voc", voc, "--set", "train", "--set", "val", "--classes", "dog") == 0
    printed = capsys.readouterr().out
    assert "train: 1 images, 1 objects\nval: 1 images, 1 objects\nFindings: none" in printed
    assert "8732 anchors" in printed


def test_check_of_a_data_set_with_findings(voc, monkeypatch, capsys):
    (voc / "Annotations/val1.xml").write_text(f"<annotation>{OBJECT.format(70)}</annotation>")
    output = voc / "out"
    assert run(monkeypatch, "check", "voc", voc, "--set", "train", "--set", "val", "--output", output) == 1
    printed = capsys.readouterr().out
    assert "val/val1: dog [10, 5, 70, 35] extends 10 px beyond the image of 60x40" in printed
    for name in ("report.json", "report.txt", "findings.png", "boxes.png", "anchors.png"):
        assert (output / name).is_file()


def test_check_of_a_path(voc, monkeypatch, capsys):
    """Any layout, without its name; options may come first."""
    assert run(monkeypatch, "check", voc) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(f"Pascal VOC: {voc}\ntrain: 1 images, 1 objects\nval: 1 images, 1 objects\n")
    assert run(monkeypatch, "check", "--set", "val", "--model", "ssdlite320", voc) == 0
    assert "train: 1 images" not in capsys.readouterr().out
    coco_file(voc, "val", [10, 5, 60, 30])
    assert run(monkeypatch, "check", voc / "val.json") == 1
    assert "all/1: dog [10, 5, 70, 35] extends 10 px beyond" in capsys.readouterr().out


def test_warnings_of_a_check_are_one_line(voc, monkeypatch, capfd):
    coco_file(voc, "val", [10, 5, 30, 30])
    assert run(monkeypatch, "check", voc) == 0
    message = f"multibox check: warning: {voc}: read as Pascal VOC; there is also COCO ({voc}/val.json)"
    assert message in capfd.readouterr().err.splitlines()


@pytest.mark.parametrize("arguments", [("nowhere",), ("Annotations/train1.xml",), (".", "--set", "test")])
def test_a_path_that_cannot_be_checked(voc, monkeypatch, capfd, arguments):
    monkeypatch.chdir(voc)
    assert run(monkeypatch, "check", *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("multibox check: ")


def test_what_is_only_worth_knowing_is_status_0(voc, monkeypatch, capsys):
    image = voc / "JPEGImages/train1.jpg"
    Image.open(image).convert("L").save(image)
    assert run(monkeypatch, "check", "voc", voc, "--set", "train") == 0
    assert "not-rgb" in capsys.readouterr().out


def test_check_of_a_devkit(voc, monkeypatch, tmp_path_factory):
    devkit = tmp_path_factory.mktemp("devkit")
    (devkit / "VOC2007").symlink_to(voc)
    assert run(monkeypatch, "check", "voc", devkit, "--set", "2007:train", "--model", "ssdlite320") == 0


@pytest.mark.parametrize("name", ["ssd-mobilenet", "ssd_mobilenet"])
def test_check_with_the_anchors_of_ssd_mobilenet(voc, monkeypatch, capsys, name):
    assert run(monkeypatch, "check", "voc", voc, "--set", "train", "--model", name) == 0
    assert "1917 anchors" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nowhere", "--set", "train"),
        (".", "--set", "test"),
        (".", "--set", "2012:train"),
        (".", "--set", "train", "--model", "ssd8"),
        (".", "--set", "train", "--output", "ImageSets/Main/train.txt"),
    ],
)
def test_a_check_that_cannot_run_says_so_in_one_line(voc, monkeypatch, capfd, arguments):
    monkeypatch.chdir(voc)
    assert run(monkeypatch, "check", "voc", *arguments) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("multibox check: ")


@pytest.mark.parametrize("arguments", [("voc",), ("voc", "."), ("coco", "a.json"), ("coco",), ("xml", ".")])
def test_wrong_usage_of_check(monkeypatch, arguments):
    assert run(monkeypatch, "check", *arguments) == 2


def coco_file(folder, name, bbox):
    content = {
        "images": [{"id": 1, "file_name": f"{name}1.jpg", "width": 60, "height": 40}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": bbox}],
        "categories": [{"id": 3, "name": "dog"}],
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder / f"{name}.json"


def test_check_of_coco_files(voc, monkeypatch, capsys):
    images = voc / "JPEGImages"
    train, val = (coco_file(voc, name, [10, 5, 30, 30]) for name in ("train", "val"))
    assert run(monkeypatch, "check", "coco", train, images, val, images) == 0
    assert "train: 1 images, 1 objects\nval: 1 images, 1 objects\n" in capsys.readouterr().out
    assert run(monkeypatch, "check", "coco", train, images, val, images, "--classes", "cat, dog") == 1
    assert "'cat' has no objects" in capsys.readouterr().out
    coco_file(voc, "val", [10, 5, 60, 30])
    assert run(monkeypatch, "check", "coco", val, images) == 1
    assert run(monkeypatch, "check", "coco", voc / "test.json", images) == 2


def test_check_of_csv_files(voc, monkeypatch, capsys):
    file = voc / "train.csv"
    file.write_text("image,xmin,ymin,xmax,ymax,class\ntrain1.jpg,10,5,40,35,dog\n")
    assert run(monkeypatch, "check", "csv", file, voc / "JPEGImages") == 0
    file.write_text("image,xmin,ymin,xmax,ymax,class\ntrain1.jpg,40,5,10,35,dog\n")
    assert run(monkeypatch, "check", "csv", file, voc / "JPEGImages") == 1
    assert "inverted-box" in capsys.readouterr().out
    file.write_text("a,b\n1,2\n")
    assert run(monkeypatch, "check", "csv", file, voc / "JPEGImages") == 2


def test_names_in_files_cannot_control_the_terminal(voc, monkeypatch, capsys):
    file = voc / "train.csv"
    header = "image,xmin,ymin,xmax,ymax,class\n"
    file.write_text(header + "train1.jpg,10,5,10,35,d\u202eog\n", encoding="utf-8")
    assert run(monkeypatch, "check", "csv", file, voc / "JPEGImages") == 1
    printed = capsys.readouterr().out
    assert "\u202e" not in printed
    assert "train/train1: d\\u202eog [10, 5, 10, 35]" in printed
    file.write_text(header + "train1.jpg,10,5,10,35,d\x1b[2Jog\n")
    assert run(monkeypatch, "check", "csv", file, voc / "JPEGImages") == 1
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "unreadable-annotation" in printed
    assert run(monkeypatch, "check", "csv", file, voc / "no\x1b[2J\nfolder") == 2
    assert "\x1b" not in "".join(capsys.readouterr())


def test_check_of_a_yolo_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / "data.yaml").write_text("names: [dog]\ntrain: images/train\nval: images/val\n")
    for seed, name in enumerate(("train", "val")):
        write_image(tmp_path / f"images/{name}/{name}1.jpg", seed=seed)
        (tmp_path / f"labels/{name}").mkdir(parents=True)
        (tmp_path / f"labels/{name}/{name}1.txt").write_text("0 0.5 0.5 0.4 0.6\n")
    assert run(monkeypatch, "check", "yolo", tmp_path / "data.yaml") == 0
    assert "train: 1 images, 1 objects\nval: 1 images, 1 objects\n" in capsys.readouterr().out
    write_image(tmp_path / "images/val/val1.jpg", seed=0)
    assert run(monkeypatch, "check", "yolo", tmp_path / "data.yaml") == 1
    assert "shared-image" in capsys.readouterr().out
    assert run(monkeypatch, "check", "yolo", tmp_path / "data.yaml", "--set", "val") == 0
    assert run(monkeypatch, "check", "yolo", tmp_path / "data.yaml", "--set", "test") == 2
