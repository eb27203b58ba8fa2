import inspect
import pydoc
import re
import subprocess
import sys
from pathlib import Path

import pytest

import multibox as mb

ROOT = Path(__file__).parents[1]


def test_promised_names_are_exported():
    promised = (
        "SSD300 SSD512 SSDLite SSDMobileNet SSD7 SSDLoss SSDFocalLoss AnchorSpec GroundTruthEncoder "
        "DataGenerator DetectionDataset Record SampleTransform ImageError Detections load_voc "
        "load_coco load_csv load_yolo load_hdf5 load_shapes save_voc save_coco save_csv read_image "
        "check_dataset detect predict_dataset to_pixels evaluate_voc plot_detections "
        "plot_detection_grid plot_history plot_precision_recall plot_samples train loss_of "
        "load_weights sample_classes to_inference anchors_of class_names_of num_classes_of "
        "ssd_augmentation ssdlite_augmentation resize_only recipes anchors class_names "
    )
    assert set(promised.split()) <= set(mb.__all__)
    assert all(hasattr(mb, name) for name in mb.__all__)


def test_importing_adds_little_to_keras():
    code = "import sys, keras; before = set(sys.modules); import multibox; print(*set(sys.modules) - before)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    added = {name.split(".")[0] for name in out.split()}
    assert "multibox" in added
    assert not added & {"matplotlib", "typer", "pycocotools", "jax", "torch"}


def test_the_version_is_said_once_the_same():
    assert re.search(r'version="(.+?)"', (ROOT / "setup.py").read_text())[1] == mb.__version__
    assert f"## {mb.__version__}" in (ROOT / "CHANGELOG.md").read_text()


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


@pytest.mark.parametrize("build", [mb.SSD300, mb.SSD512, mb.SSDLite, mb.SSDMobileNet, mb.SSD7])
def test_help_fits_a_screen(build):
    assert len(str(inspect.signature(build))) < 300
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
