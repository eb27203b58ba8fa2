import ast
import inspect
import os
import pydoc
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import multibox as mb

ROOT = Path(__file__).parents[1]


def test_promised_names_are_exported():
    promised = (
        "SSD300 SSD512 SSDLite SSDMobileNet SSD7 SSD SSD321 SSD513 DSSD321 "
        "SSDLoss SSDFocalLoss AnchorSpec GroundTruthEncoder "
        "DataGenerator DetectionDataset Record SampleTransform ImageError Detections load_voc "
        "load_coco load_csv load_yolo load_hdf5 "
        "load_open_images load_tfrecord load_huggingface load_shapes save_voc save_coco save_csv read_image "
        "check_dataset detect predict_dataset to_pixels evaluate_voc plot_detections "
        "plot_detection_grid plot_history plot_precision_recall plot_samples train loss_of "
        "load_weights pretrained sample_classes to_inference anchors_of class_names_of num_classes_of "
        "ssd_augmentation ssdlite_augmentation resize_only recipes anchors class_names "
    )
    assert set(promised.split()) <= set(mb.__all__)
    assert all(hasattr(mb, name) for name in mb.__all__)


def imported_by(code):
    """The top-level modules that Python has imported after some code."""
    code += "; import sys; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return {name.split(".")[0] for name in out.splitlines()[-1].split()}


HEAVY = {"keras", "tensorflow", "jax", "torch"}
RARE = {"matplotlib", "typer", "pycocotools", "pooch", "requests"}


def test_importing_takes_no_other_package():
    assert not imported_by("import multibox") & {*HEAVY, *RARE, "numpy", "cv2", "PIL", "h5py"}


@pytest.mark.parametrize(
    "name",
    [
        "load_dataset",
        "load_shapes",
        "check_dataset",
        "save_voc",
        "read_image",
        "ssd_augmentation",
        "GroundTruthEncoder",
        "AnchorSpec",
        "evaluate_voc",
        "plot_samples",
        "anchors",
        "networks",
        "class_names",
    ],
)
def test_data_take_no_keras(name):
    assert not imported_by(f"import multibox; multibox.{name}") & {*HEAVY, *RARE}


def test_an_encoder_of_anchors_and_its_use_take_no_keras():
    code = "import multibox as mb; mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, 2)([[.1, .1, .5, .5]], [1])"
    assert not imported_by(code) & HEAVY


@pytest.mark.parametrize("package", [mb, mb.data_generator, mb.eval_utils, mb.data_check, mb.weights])
def test_the_lazy_names_are_the_public_ones_and_those_of_the_type_checker(package):
    body = ast.parse(Path(package.__file__).read_text(encoding="utf-8")).body
    block = next(node for node in body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING")
    seen = {alias.name: node.module for node in block.body for alias in node.names if node.module}
    parents = [alias.name for node in block.body for alias in node.names if not node.module]
    table = {name: m.lstrip(".") for m, names in package._MODULES.items() for name in names.split()}
    assert table == seen
    assert sorted([*table, *parents]) == sorted(package.__all__)
    assert {*package.__all__} <= {*dir(package)}
    assert all(hasattr(package, name) for name in package.__all__)


def test_a_star_import_has_all_names():
    names = {}
    exec("from multibox import *", names)
    assert {*mb.__all__} <= {*names}


def test_the_version_is_stated_once_and_has_an_entry_in_the_changelog():
    project = (ROOT / "pyproject.toml").read_text()
    assert 'dynamic = ["version"]' in project and 'attr = "multibox.__version__"' in project
    others = re.sub(r"==[\w.]+", "", project + (ROOT / "setup.py").read_text())  # of other packages
    assert mb.__version__ not in others
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
    outside = {"tests", "benchmarks", "notebooks", "docs", "examples", "build", "dist", "runs", "shared"}
    folders = {path.relative_to(ROOT).parent for path in ROOT.glob("[!.]*/**/*.py")}
    modules = {folder.parts for folder in folders if folder.parts[0] not in outside}
    expected = {"multibox", *(".".join(("multibox", *parts)) for parts in modules)}
    assert {"multibox.cli", "multibox.data_generator.formats", "multibox.weights.mapping"} < expected
    assert set(setup_arguments(monkeypatch)["packages"]) == expected


def test_the_mark_that_the_package_has_type_hints_is_installed(monkeypatch):
    assert setup_arguments(monkeypatch)["package_data"]["multibox"] == ["py.typed"]
    assert (ROOT / "py.typed").exists()


def test_the_templates_of_the_report_are_installed(monkeypatch):
    (pattern,) = setup_arguments(monkeypatch)["package_data"]["multibox.report"]
    assert {path.name for path in (ROOT / "report").glob(pattern)} == {
        "report.html",
        "report.css",
        "report.js",
    }


def test_the_page_for_browsers_is_installed(monkeypatch):
    (pattern,) = setup_arguments(monkeypatch)["package_data"]["multibox.exporting"]
    assert {path.name for path in (ROOT / "exporting").glob(pattern)} == {
        "index.html",
        "page.css",
        "LICENSES.txt",
        *(f"{name}.js" for name in ("camera", "detector", "objects", "page", "pixels", "view", "worker")),
    }


ABSENT = """
import sys

class Absent:
    def find_spec(name, path=None, target=None):
        if name == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
import multibox
{use}
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
@pytest.mark.parametrize("use", ["multibox.SSD300", "from multibox.losses import SSDLoss", "import keras"])
def test_a_missing_backend_is_named_in_one_line(backend, use):
    run = subprocess.run(
        [sys.executable, "-c", ABSENT.format(name=backend, use=use)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    last = run.stderr.rstrip().splitlines()[-1]
    assert f"the backend of Keras is {backend}, which is not installed: pip install {backend}" in last


def test_other_missing_modules_keep_their_error():
    code = ABSENT.format(name="msgspec", use="multibox.load_coco")
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "No module named 'msgspec'" in run.stderr and "backend of Keras" not in run.stderr


@pytest.mark.parametrize(
    ("former", "new"),
    [
        ("ssd_train", "ssd_augmentation"),
        ("ssdlite_train", "ssdlite_augmentation"),
        ("ssd_eval", "resize_only"),
        ("satellite_train", "satellite_augmentation"),
        ("constant_size_train", "constant_size_augmentation"),
        ("variable_size_train", "variable_size_augmentation"),
        ("labels", "class_names"),
    ],
)
def test_former_names_warn(former, new):
    with pytest.warns(DeprecationWarning, match=f"{former} is now called {new}"):
        assert getattr(mb, former) is getattr(mb, new)
    assert former not in mb.__all__


def test_unknown_names_are_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'SSD301'"):
        mb.SSD301  # noqa: B018


def without_hints(signature):
    """Names and default values: these grew to 1800 characters where a default was printed in full."""
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return signature.replace(parameters=bare, return_annotation=signature.empty)


@pytest.mark.parametrize(
    "build",
    [mb.SSD300, mb.SSD512, mb.SSDLite, mb.SSDMobileNet, mb.SSD7, mb.SSD321, mb.SSD513, mb.DSSD321],
)
def test_help_fits_a_screen(build):
    assert len(str(without_hints(inspect.signature(build)))) < 300
    text = pydoc.plain(pydoc.render_doc(build))
    assert len(text.splitlines()) <= 50
    options = list(inspect.signature(build).parameters.values())[1:]
    assert all(o.kind in (o.KEYWORD_ONLY, o.VAR_KEYWORD) for o in options)


def test_short_representations():
    model = mb.SSD7(4, image_size=(64, 64))
    encoder = mb.GroundTruthEncoder(model)
    batches = mb.DataGenerator(mb.load_shapes(5), 2, mb.ssd_augmentation((64, 64)), encoder)
    assert repr(mb.anchors.SSD300_VOC) == "<AnchorSpec: 300x300, 6 levels, 8732 anchors>"
    assert repr(encoder) == "<GroundTruthEncoder: <AnchorSpec: 64x64, 4 levels, 340 anchors>, 4 classes>"
    assert repr(batches).startswith("<DataGenerator: 3 batches of 2, <shapes: 5 images")
