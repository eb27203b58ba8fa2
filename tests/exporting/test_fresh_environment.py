"""The programs of docs/deploy/ run where neither Keras nor multibox can be imported."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import cv2
import keras
import numpy as np
import pytest

import multibox as mb

PAGES = Path(__file__).parents[2] / "docs" / "deploy"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^(cat|dog) ([\d.e-]+) \[(.+?)\]$", re.MULTILINE | re.DOTALL)
MULTIBOX = ("keras", "jax", "torch", "multibox")
# Raises where a package or its modules are imported, as in an environment without it.
HOOK = """
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""


class Program(NamedTuple):
    """A program of a page: the block that imports the runtime.

    Attributes:
        page: name of the page.
        file: name of the exported file in the program.
        runtime: the package that it imports.
        absent: packages that cannot be imported.
        writers: packages that `export` needs.
    """

    page: str
    file: str
    runtime: str
    absent: tuple[str, ...] = (*MULTIBOX, "tensorflow")
    writers: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        blocks = BLOCK.findall((PAGES / self.page).read_text(encoding="utf-8"))
        (text,) = (block for block in blocks if re.search(rf"^(import|from) {self.runtime}\b", block, re.M))
        return text


PROGRAMS = [Program("onnx.md", "model.onnx", "onnxruntime", writers=("onnx",))]


@pytest.fixture(scope="module")
def model():
    """A network of random weights that is sure of what it sees."""
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=("cat", "dog"), image_size=(64, 96))
    for layer in model.layers:
        if layer.name.endswith("_conf"):
            layer.kernel.assign(np.asarray(layer.kernel) * 10)
    return model


def run(program, folder):
    """Runs text with the hook, and without this environment's settings; -I ignores PYTHONPATH."""
    text = HOOK.format(absent=set(program.absent)) + program.text
    return subprocess.run(
        [sys.executable, "-I", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.page)
def test_the_program_of_a_page_needs_the_runtime_only(program, model, tmp_path):
    for package in (program.runtime, *program.writers):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    mb.export(model, tmp_path / program.file)
    picture = mb.read_image(mb.load_shapes(1, (120, 200), seed=0)[0].image)
    cv2.imwrite(str(tmp_path / "street.jpg"), picture[..., ::-1])
    result = run(program, tmp_path)
    assert result.returncode == 0, result.stderr
    found = [
        [("cat", "dog").index(name) + 1, float(score), *map(float, box.split())]
        for name, score, box in ROW.findall(result.stdout)
    ]
    expected = rows_of(tmp_path / program.file, tmp_path / "street.jpg")
    assert len(expected) > 10
    np.testing.assert_allclose(found, expected, atol=1e-3)


def rows_of(path, picture):
    """Detections above 0.5 in pixels, for a picture that is resized as the programs do it."""
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    small = cv2.resize(image, (96, 64), interpolation=cv2.INTER_AREA)
    (rows,) = mb.load_detector(path).predict_on_batch(small[None])
    rows = rows[rows[:, 1] > 0.5]
    return rows * (1, 1, 200, 120, 200, 120)


@pytest.mark.parametrize("package", [*MULTIBOX, "tensorflow"])
def test_the_hook_hides_packages(package):
    text = HOOK.format(absent={package}) + f"import {package}.something"
    result = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=60)
    assert f"No module named '{package}'" in result.stderr
