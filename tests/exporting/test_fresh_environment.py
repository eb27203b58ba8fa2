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
# No finder finds these packages, as in an environment without them.
HOOK = """
import sys

class Blind:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {absent!r} else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Blind, sys.meta_path)
sys.path.insert(0, "")  # where the program is
"""


class Program(NamedTuple):
    """A program of a page: the block that imports the runtime.

    Attributes:
        page: name of the page.
        file: name of the exported file in the program.
        format: name of its format.
        runtime: the module that it imports.
        needed: packages that must be installed.
        absent: packages that cannot be imported.
        interpolation: how it resizes pictures.
        size: (height, width) of the picture. TensorFlow resizes it with other rounding than OpenCV.
    """

    page: str
    file: str
    format: str
    runtime: str
    needed: tuple[str, ...]
    absent: tuple[str, ...] = (*MULTIBOX, "tensorflow")
    interpolation: int = cv2.INTER_LINEAR
    size: tuple[int, int] = (120, 200)

    @property
    def text(self) -> str:
        blocks = BLOCK.findall((PAGES / self.page).read_text(encoding="utf-8"))
        (text,) = (block for block in blocks if re.search(rf"^(import|from) {self.runtime}\b", block, re.M))
        return text


PROGRAMS = [
    Program(
        *("onnx.md", "model.onnx", "onnx", "onnxruntime", ("onnx", "onnxruntime")),
        interpolation=cv2.INTER_AREA,
    ),
    Program("raspberry_pi.md", "model.tflite", "litert", "detect", ("tensorflow", "ai_edge_litert")),
    Program(
        *("tensorflow_serving.md", "detector/1", "savedmodel", "tensorflow", ("tensorflow",)),
        absent=MULTIBOX,
        size=(64, 96),
    ),
]


@pytest.fixture(scope="module")
def model():
    """A network of random weights that is sure of what it sees."""
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=("cat", "dog"), image_size=(64, 96))
    for layer in model.layers:
        if layer.name.endswith("_conf"):
            layer.kernel.assign(np.asarray(layer.kernel) * 3)
    return model


def run(program, folder):
    """Runs text with the hook, and without this environment's settings; -I ignores PYTHONPATH."""
    text = HOOK.format(absent=set(program.absent)) + program.text
    return subprocess.run(
        [sys.executable, "-I", "-c", text], cwd=folder, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.page)
def test_the_program_of_a_page_needs_the_runtime_only(program, model, tmp_path):
    for package in program.needed:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    mb.export(model, tmp_path / program.file, program.format)
    picture = mb.read_image(mb.load_shapes(1, program.size, seed=0)[0].image)
    cv2.imwrite(str(tmp_path / "street.jpg"), picture[..., ::-1])
    result = run(program, tmp_path)
    assert result.returncode == 0, result.stderr
    found = [
        [("cat", "dog").index(name) + 1, float(score), *map(float, box.split())]
        for name, score, box in ROW.findall(result.stdout)
    ]
    image = cv2.cvtColor(cv2.imread(str(tmp_path / "street.jpg")), cv2.COLOR_BGR2RGB)
    small = cv2.resize(image, (96, 64), interpolation=program.interpolation)
    (rows,) = mb.load_detector(tmp_path / program.file).predict_on_batch(small[None])
    sides = program.size[::-1] * 2
    expected = rows[rows[:, 1] > 0.5] * (1, 1, *sides)
    assert len(expected) > 10
    found, expected = (np.clip(rows, 0, (2, 1, *sides)) for rows in (found, expected))  # some programs clip
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("package", [*MULTIBOX, "tensorflow"])
def test_the_hook_hides_packages(package):
    text = HOOK.format(absent={package}) + f"import {package}.something"
    result = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=60)
    assert f"No module named '{package}'" in result.stderr
