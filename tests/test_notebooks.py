"""The training notebook on real images; the other ones run in `make test` on drawn shapes."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

FEW_STEPS = """
TRAIN_SETS, TEST_SETS = [("2007", "train")], [("2007", "val")]
IMAGES, BATCH_SIZE, STEPS = 32, 8, 4
"""


def test_ssd300_training_on_real_images(voc_mini, tmp_path, monkeypatch):
    """A few steps of the real recipe at batch 8."""
    notebook = nbformat.read(NOTEBOOKS / "ssd300_training.ipynb", as_version=4)
    (parameters,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    parameters.source += FEW_STEPS
    monkeypatch.setenv("MULTIBOX_VOC", str(voc_mini))
    monkeypatch.delenv("MULTIBOX_QUICK", raising=False)
    nbclient.NotebookClient(
        notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    log = (tmp_path / "runs/ssd300/history.csv").read_text().splitlines()
    assert len(log) == 2
    assert "nan" not in log[1]
    printed = "".join(o.get("text", "") for c in notebook.cells for o in c.get("outputs", []))
    assert "<VOC 2007 train: 32 images" in printed
    assert "mAP" in printed


def test_without_data_the_notebooks_say_so(monkeypatch):
    monkeypatch.delenv("MULTIBOX_VOC", raising=False)
    monkeypatch.delenv("MULTIBOX_QUICK", raising=False)
    notebook = nbformat.read(NOTEBOOKS / "ssd300_evaluation.ipynb", as_version=4)
    notebook.cells = notebook.cells[:2]
    with pytest.raises(
        nbclient.exceptions.CellExecutionError, match="Set the environment variable MULTIBOX_VOC"
    ):
        nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
