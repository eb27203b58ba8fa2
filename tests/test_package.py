import re
import subprocess
import sys
from pathlib import Path

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


def test_the_version_is_said_once_the_same():
    assert re.search(r'version="(.+?)"', (ROOT / "setup.py").read_text())[1] == mb.__version__
    assert f"## {mb.__version__}" in (ROOT / "CHANGELOG.md").read_text()
