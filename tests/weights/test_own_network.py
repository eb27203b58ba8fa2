"""The network of the notebook `bring_your_own_ssd` gives with published weights what the original gives."""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "bring_your_own_ssd.ipynb"
# Largest differences from ONNX Runtime. The TensorFlow Lite file itself differs by 3.3e-4.
TOLERANCES = {
    "version-RFB-320.pth": 1e-5,
    "version-RFB-320.onnx": 1e-5,
    "RFB-320.caffemodel": 1e-5,
    "version-RFB-320_without_postprocessing.tflite": 1e-3,
}


@pytest.fixture(scope="module")
def cells(golden):
    """What the cells of the notebook define, without those that draw."""
    folder = golden / "ultra_light_face"
    if not folder.is_dir():
        pytest.skip(f"no face detector at {folder}")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MULTIBOX_FACES", str(folder))
        for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
            if cell.cell_type == "code" and cell.id != "detect":
                exec(cell.source, found)
    return found


def test_each_file_gives_the_same_outputs(cells):
    assert set(cells["measured"]) == set(TOLERANCES)
    for name, tolerance in TOLERANCES.items():
        scores, boxes = cells["measured"][name]
        assert scores < tolerance and boxes < tolerance, (name, scores, boxes)


def test_all_weights_are_those_of_the_files(cells):
    model, path = cells["model"], cells["file"]("version-RFB-320.onnx")
    report = cells["mb"].load_weights(model, path, names=cells["name_in_torch"])
    assert sum(report.loaded.values()) == model.count_params() == 281_100
    assert not report.left
    assert {name.rpartition(".")[2] for name in report.skipped} == {"num_batches_tracked"}


def test_a_wrong_mapping_is_refused(cells):
    names = {**cells["CAFFE"], "dw2": "257"}  # the pointwise layer after it
    with pytest.raises(ValueError, match="layer dw2 has the shapes"):
        cells["mb"].load_weights(cells["folded"], cells["file"]("RFB-320.caffemodel"), names=names)
