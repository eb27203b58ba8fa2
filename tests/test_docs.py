"""README.md and docs/: Python blocks run, commands and links exist, the API pages are complete."""

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import keras
import matplotlib
import matplotlib.pyplot as plt
import pytest
import typer

import multibox as mb
from multibox import models
from multibox.cli import app
from multibox.weights import loading

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
SIZE = (96, 128)  # of the images, height and width
CLASSES = ("cat", "dog", "person", "robot")
# {page: packages of an extra that its blocks need}
NEEDED = {
    **dict.fromkeys(["docs/deploy.md", "docs/deploy/onnx.md"], ("onnx", "onnxruntime")),
    "docs/deploy/raspberry_pi.md": ("tensorflow", "ai_edge_litert"),
    "docs/deploy/tensorflow_serving.md": ("tensorflow",),
}
CAFFE_FILE = "VGG_VOC0712_SSD_300x300.caffemodel"


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int


def blocks(page):
    text = page.read_text(encoding="utf-8")
    return [Block(b[1], b[2], text.count("\n", 0, b.start(2))) for b in BLOCK.finditer(text)]


def name_of(page):
    return str(page.relative_to(ROOT))


def with_python(page):
    return any(block.language == "python" for block in blocks(page))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The place of somebody who tries a page: data, a picture, small networks and one epoch."""
    shapes = mb.load_shapes(8, SIZE, seed=0)
    images = [mb.read_image(record.image) for record in shapes]
    (tmp_path / "JPEGImages").mkdir()
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / "JPEGImages" / f"{i}.jpg"), image[..., ::-1])
    records = [
        mb.Record(str(i), str(tmp_path / "JPEGImages" / f"{i}.jpg"), *SIZE[::-1], r.boxes, r.labels)
        for i, r in enumerate(shapes)
    ]
    data = mb.DetectionDataset(CLASSES, records)
    mb.save_voc(data[:4], tmp_path / "my_data", "train", progress=False)
    mb.save_voc(data[4:], tmp_path / "my_data", "val", progress=False)
    cv2.imwrite(str(tmp_path / "street.jpg"), images[0][..., ::-1])
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    matplotlib.use("Agg")
    # A handful of steps takes less time than compiling them.
    monkeypatch.setattr(keras.Model, "run_eagerly", property(lambda self: True, lambda self, value: None))
    monkeypatch.setattr(mb, "train", partial(train_one_epoch, mb.train))
    monkeypatch.setattr(mb, "pretrained", pretrained)
    yield tmp_path
    plt.close("all")


def train_one_epoch(train, model, dataset, output, *, epochs=None, resume=False, **options):
    return train(model, dataset, output, epochs=1 + resume, resume=resume, **{**options, "verbose": 0})


def pretrained(name, *, class_names=None, anchors=None):
    """A small network in place of the published one, with COCO's names or those asked for."""
    assert name in ("ssd_mobilenet_coco", "ssdlite_coco", "ssd300_coco")
    keras.utils.set_random_seed(0)
    coco = mb.class_names.COCO_NAMES_BY_ID[1:]
    return mb.SSD7(class_names=class_names or coco, image_size=SIZE)


@pytest.mark.filterwarnings("ignore:evaluate_(voc|coco). mAP is nearly 0")
@pytest.mark.parametrize("page", filter(with_python, PAGES), ids=name_of)
def test_python_blocks_run(page, reader):
    for package in NEEDED.get(name_of(page), ()):
        pytest.importorskip(package, reason=f"{package} is not installed")
    if CAFFE_FILE in page.read_text(encoding="utf-8"):
        mb.SSD300(20).save_weights("saved.weights.h5")
        Path("saved.weights.h5").rename(CAFFE_FILE)  # the content decides what a file is
    namespace = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            # Blank lines first, so that a traceback shows the line of the page.
            exec(compile("\n" * block.line + block.text, name_of(page), "exec"), namespace)


@pytest.mark.filterwarnings("ignore:evaluate_voc. mAP is nearly 0")
def test_own_data_example_with_the_published_weights(reader, golden, monkeypatch):
    """The README's five lines on the real detector, from the file that a download would give."""
    weights = str(golden / "ssd_mobilenet_v1_coco" / "ssd_mobilenet.tflite")
    monkeypatch.setattr(mb, "pretrained", models.pretrained)
    monkeypatch.setattr(loading, "fetch_source", lambda source, *args, **kwargs: weights)
    (example,) = [b for b in blocks(ROOT / "README.md") if "mb.train(" in b.text]
    namespace = {}
    exec(compile(example.text, "README.md", "exec"), namespace)
    assert mb.class_names_of(namespace["model"]) == CLASSES
    assert len(Path("runs/mine/history.csv").read_text().splitlines()) == 2
    assert Path("street.png").stat().st_size > 0


def commands():
    for page in PAGES:
        for block in blocks(page):
            if block.language == "":
                yield from (line for line in block.text.splitlines() if line)
        yield from re.findall(r"`(multibox [^`]+|make [^`]+)`", page.read_text(encoding="utf-8"))


MULTIBOX = sorted({line for line in commands() if line.startswith("multibox ")})
MAKE = sorted({line.split("#")[0] for line in commands() if line.startswith("make ")})


@pytest.mark.parametrize("line", MULTIBOX)
def test_multibox_commands_exist(line, tmp_path, monkeypatch):
    """Parses the command with its options, and does not run it; a bare subcommand must exist."""
    monkeypatch.chdir(tmp_path)
    _, *words = line.split()
    command = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        if words[0].startswith("--"):
            known = ["--help", *(name for option in command.params for name in option.opts)]
            assert words.pop(0) in known, line
            continue
        words = command.with_format(words) if hasattr(command, "with_format") else words
        assert words[0] in command.commands, f"no subcommand {words[0]!r}"
        command = command.commands[words.pop(0)]
    if words and words != ["--help"]:
        command.make_context(line, words).close()


@pytest.mark.parametrize("line", MAKE)
def test_make_targets_exist(line):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in line.split()[1:]:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page):
    """Files, and headings of pages."""
    for target, heading in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"https?:", target):
            continue
        path = page.parent / target
        assert path.exists(), target
        assert not heading or heading[1:] in anchors(path), f"{target}{heading}"


def anchors(page):
    """The headings of a page as code hosts make links of them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_extras_that_the_pages_name_exist():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    declared = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("setup.py", "pyproject.toml"))
    for extras in re.findall(r'pip install (?:-e )?"\.\[([\w,]+)\]"', text):
        for extra in extras.split(","):
            assert re.search(rf'^\s*"?{extra}"?\s*[:=] *\[', declared, re.MULTILINE), extra


def test_the_api_pages_name_all_that_is_public():
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "api").glob("*.md"))
    documented = set(re.findall(r":: multibox\.([\w.]+)$", text, re.MULTILINE))
    modules = {"anchors", "class_names", "recipes"}
    missing = set(mb.__all__) - modules - documented
    assert not missing
    assert all(any(name.startswith(f"{module}.") for name in documented) for module in modules)
