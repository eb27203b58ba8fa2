"""The two SSD300 notebooks on real images, and the files as saved; `make test` runs all on drawn shapes."""

import json
import re
from pathlib import Path

import nbclient
import nbformat
import pytest
from foreign_files import write_caffemodel
from reference import caffe_weights

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
NAMES = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
WITHOUT_OUTPUTS = "**This file is saved without outputs**"
MACHINE_PATH = re.compile(r"/(home|root|tmp|var|work|Users)/|[A-Z]:\\\\")

FEW_STEPS = """
TRAIN_SETS, TEST_SETS = [("2007", "train")], [("2007", "val")]
IMAGES, BATCH_SIZE, STEPS = 16, 4, 4
WEIGHTS = None
"""
FEW_IMAGES = """
IMAGE_SETS, IMAGES = [("2007", "val")], 8
WEIGHTS = "published.caffemodel"
"""


def read(name, parameters=""):
    """A notebook, with lines added to its cell of parameters."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    cell.source += parameters
    return notebook


def run(notebook, folder):
    """Executes a notebook in a folder and returns what it prints."""
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    return "".join(o.get("text", "") + o.get("data", {}).get("text/plain", "") for o in outputs)


@pytest.fixture
def real_images(voc_mini, monkeypatch):
    monkeypatch.setenv("MULTIBOX_VOC", str(voc_mini))
    monkeypatch.delenv("MULTIBOX_QUICK", raising=False)


def test_ssd300_training_on_real_images(real_images, tmp_path):
    """A few steps of the real recipe at batch 4."""
    printed = run(read("ssd300_training", FEW_STEPS), tmp_path)
    log = (tmp_path / "runs/ssd300/history.csv").read_text().splitlines()
    assert len(log) == 2
    assert "nan" not in log[1]
    assert "<VOC 2007 train: 16 images" in printed
    assert "starting weights: random" in printed
    assert "1 epochs of 4 steps" in printed
    assert "mAP" in printed
    assert not (tmp_path / "runs/ssd300/best.keras").exists()  # nothing is chosen on the test images


def test_ssd300_training_starts_from_imagenet():
    (cell,) = [c for c in read("ssd300_training").cells if "parameters" in c.metadata.get("tags", [])]
    presets = {"QUICK": False}
    exec(cell.source, presets)
    assert presets["WEIGHTS"] == "imagenet"
    assert (presets["BATCH_SIZE"], presets["STEPS"], presets["BOUNDARIES"]) == (
        32,
        120_000,
        (80_000, 100_000),
    )
    assert (presets["LEARNING_RATE"], presets["WEIGHT_DECAY"]) == (1e-3, 5e-4)


def test_ssd300_evaluation_of_a_caffemodel(real_images, golden, tmp_path):
    """The weights mean nothing; all of them must be loaded."""
    write_caffemodel(tmp_path / "published.caffemodel", caffe_weights(golden / "caffe", "strongbias"))
    printed = run(read("ssd300_evaluation", FEW_IMAGES), tmp_path)
    assert "<VOC 2007 val: 8 images" in printed
    assert "26,285,486 weights" in printed
    assert "0 in the model, at their initial values" in printed
    assert "mAP" in printed


def test_without_data_the_notebooks_say_so(monkeypatch):
    monkeypatch.delenv("MULTIBOX_VOC", raising=False)
    monkeypatch.delenv("MULTIBOX_QUICK", raising=False)
    notebook = read("ssd300_evaluation")
    notebook.cells = notebook.cells[:2]
    with pytest.raises(
        nbclient.exceptions.CellExecutionError, match="Set the environment variable MULTIBOX_VOC"
    ):
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()


@pytest.mark.parametrize("name", NAMES)
def test_saved_outputs(name):
    """Outputs are there unless the notebook states otherwise, and name no path of a machine."""
    notebook = read(name)
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    assert bool(outputs) != (WITHOUT_OUTPUTS in notebook.cells[0].source)
    text = json.dumps([o for o in outputs if o.output_type == "stream"]) + json.dumps(
        [value for o in outputs for kind, value in o.get("data", {}).items() if kind.startswith("text/")]
    )
    assert not MACHINE_PATH.search(text)
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
