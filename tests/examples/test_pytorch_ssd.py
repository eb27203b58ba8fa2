"""The converter of examples/, with weights drawn by rule, against the outputs of pytorch-ssd's networks."""

import ast
import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from drawn_weights import drawn_picture, drawn_weight
from foreign_files import write_pth

import multibox as mb

FILE = Path(__file__).parents[2] / "examples" / "pytorch_ssd.py"
NETWORKS = ("mb1-ssd", "mb1-ssd-lite", "mb2-ssd-lite")


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("pytorch_ssd", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_of(golden):
    names, shapes = golden["names"].tolist(), map(ast.literal_eval, golden["shapes"].tolist())
    return {name: drawn_weight(name, shape) for name, shape in zip(names, shapes, strict=True)}


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["pytorch_ssd.py", *map(str, arguments)])
    module.main()


@pytest.mark.parametrize("network", NETWORKS)
def test_the_outputs_are_those_of_the_torch_network(module, small_golden, tmp_path, network):
    golden = np.load(small_golden / "pytorch_ssd" / f"{network}.npz")
    path = write_pth(tmp_path / "x.pth", state_of(golden))
    model = module.convert(path, ["cat", "dog"])
    assert mb.anchors_of(model).num_anchors == 3000 and model.count_params() > 3_000_000
    predicted = model.predict(drawn_picture(300, 300)[None], verbose=0)[0, golden["places"]]
    assert golden["logits"].std() > 0.4
    np.testing.assert_allclose(predicted[:, :4], golden["offsets"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(predicted[:, 4:], golden["logits"], rtol=0, atol=1e-4)


def test_the_anchors_are_those_of_pytorch_ssd(module, small_golden):
    golden = np.load(small_golden / "pytorch_ssd" / "mb1-ssd.npz")
    # The last row and column of the 10x10 cells have their centers at 304 pixels, pytorch-ssd at 300.
    ours = module.ANCHORS.cxcywh.copy()
    ours[:, :2] = ours[:, :2].clip(max=1)
    np.testing.assert_allclose(ours[golden["places"]], golden["priors"], rtol=0, atol=1e-6)
    beyond = module.ANCHORS.cxcywh[:, :2].max(axis=1) > 1
    assert beyond.sum() == 19 * 6 and np.isclose(module.ANCHORS.cxcywh[:, :2].max(), 304 / 300)


def test_the_command_writes_a_model(module, small_golden, tmp_path, monkeypatch, capsys):
    golden = np.load(small_golden / "pytorch_ssd" / "mb1-ssd-lite.npz")
    path = write_pth(tmp_path / "x.pth", state_of(golden))
    (tmp_path / "labels.txt").write_text("BACKGROUND\ncat\ndog\n")
    output = tmp_path / "detector.keras"
    run(module, monkeypatch, path, tmp_path / "labels.txt", output)
    assert capsys.readouterr().out == f"{output}: mb1_ssd_lite, 2 classes\n"
    model = keras.models.load_model(output)
    assert mb.class_names_of(model) == ("cat", "dog")
    picture = drawn_picture(300, 300)[None]
    expected = golden["logits"], model.predict(picture, verbose=0)[0, golden["places"], 4:]
    np.testing.assert_allclose(*expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("labels", "tensor", "message"),
    [
        ("BACKGROUND\ncat\n", "extras.0.2.weight", "x.pth"),
        (
            "BACKGROUND\ncat\ndog\n",
            "other.weight",
            "expected one of mb2-ssd-lite, mb1-ssd-lite, mb1-ssd, found",
        ),
    ],
)
def test_another_file_is_an_error_in_one_line(module, tmp_path, monkeypatch, labels, tensor, message):
    path = write_pth(tmp_path / "x.pth", {tensor: np.zeros((1, 1, 3, 3), np.float32)})
    (tmp_path / "labels.txt").write_text(labels)
    with pytest.raises(SystemExit, match=message) as error:
        run(module, monkeypatch, path, tmp_path / "labels.txt", tmp_path / "o.keras")
    assert str(error.value).startswith("error: ") and "\n" not in str(error.value)
    assert not (tmp_path / "o.keras").exists()
