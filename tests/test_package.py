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


def test_importing_leaves_matplotlib_out():
    code = "import multibox, sys; print('matplotlib' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
    )


def test_the_version_is_said_once_the_same():
    assert re.search(r'version="(.+?)"', (ROOT / "setup.py").read_text())[1] == mb.__version__
    assert f"## {mb.__version__}" in (ROOT / "CHANGELOG.md").read_text()
