import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import multibox as mb

ROOT = Path(__file__).parents[1]


def test_promised_names_are_exported():
    promised = (
        "SSD300 SSD512 SSDLite SSD7 SSDLoss AnchorSpec GroundTruthEncoder DataGenerator DetectionDataset "
        "load_voc to_inference anchors_of predict_dataset evaluate_voc"
    )
    assert set(promised.split()) <= set(mb.__all__)
    assert all(hasattr(mb, name) for name in mb.__all__)


def test_importing_adds_little_to_keras():
    code = "import sys, keras; before = set(sys.modules); import multibox; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    added = {name.split(".")[0] for name in out.split()}
    assert "multibox" in added
    assert not added & {"matplotlib", "typer", "pycocotools", "jax", "torch"}


def test_the_version_is_stated_once_and_has_an_entry_in_the_changelog():
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project and 'attr = "multibox.__version__"' in project
    assert mb.__version__ not in project + (ROOT / "setup.py").read_text()
    assert f"## {mb.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def setup_arguments(monkeypatch):
    """What setup.py passes to setuptools."""
    setuptools = pytest.importorskip("setuptools")
    given = {}
    monkeypatch.setattr(setuptools, "setup", lambda **arguments: given.update(arguments))
    monkeypatch.chdir(ROOT)
    runpy.run_path(str(ROOT / "setup.py"))
    return given


def test_every_folder_with_modules_is_installed(monkeypatch):
    outside = {"tests", "benchmarks", "notebooks", "docs", "build", "dist", "runs", "shared"}
    folders = {path.relative_to(ROOT).parent for path in ROOT.glob("[!.]*/**/*.py")}
    modules = {folder.parts for folder in folders if folder.parts[0] not in outside}
    expected = {"multibox", *(".".join(("multibox", *parts)) for parts in modules)}
    assert {"multibox.cli", "multibox.data_generator.formats", "multibox.weights.mapping"} < expected
    assert set(setup_arguments(monkeypatch)["packages"]) == expected


def test_the_mark_that_the_package_has_type_hints_is_installed(monkeypatch):
    assert setup_arguments(monkeypatch)["package_data"] == {"multibox": ["py.typed"]}
    assert (ROOT / "py.typed").exists()


ABSENT = """
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
import multibox
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_missing_backend_is_named_in_one_line(backend):
    run = subprocess.run(
        [sys.executable, "-c", ABSENT.format(name=backend)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    last = run.stderr.rstrip().splitlines()[-1]
    assert f"the backend of Keras is {backend}, which is not installed: pip install {backend}" in last


def test_other_missing_modules_keep_their_error():
    code = ABSENT.format(name="msgspec")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "No module named 'msgspec'" in run.stderr and "backend of Keras" not in run.stderr
