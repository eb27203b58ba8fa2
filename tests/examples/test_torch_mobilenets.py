"""The converter of examples/, with weights drawn by rule, against the outputs of the networks for torch."""

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

FILE = Path(__file__).parents[2] / "examples" / "torch_mobilenets.py"
NETWORKS = ("mb1_ssd", "mb1_ssd_lite", "mb2_ssd_lite", "mobilenet_v2_ssd320", "ssdlite_mobilenetv2")


@pytest.fixture(scope="module")
def module():
    spec = importlib.util.spec_from_file_location("torch_mobilenets", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reference(small_golden):
    return lambda network: np.load(small_golden / "torch_mobilenets" / f"{network}.npz")


def state_of(golden):
    names, shapes = golden["names"].tolist(), map(ast.literal_eval, golden["shapes"].tolist())
    return {name: drawn_weight(name, shape) for name, shape in zip(names, shapes, strict=True)}


def run(module, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["torch_mobilenets.py", *map(str, arguments)])
    module.main()


@pytest.mark.parametrize("network", NETWORKS)
def test_the_outputs_are_those_of_the_torch_network(module, reference, tmp_path, network):
    golden = reference(network)
    model = module.convert(write_pth(tmp_path / "x.pth", state_of(golden)), ["cat", "dog"])
    assert model.name == network and mb.class_names_of(model) == ("cat", "dog")
    assert golden["logits"].std() > 0.4 and golden["offsets"].std() > 0.4
    picture = drawn_picture(*model.input_shape[1:3])
    predicted = model.predict(picture[None], verbose=0)[0, golden["places"]]
    # The background comes first here, and last in mmdetection.
    classes = [2, 0, 1] if network == "ssdlite_mobilenetv2" else [0, 1, 2]
    np.testing.assert_allclose(predicted[:, :4], golden["offsets"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(predicted[:, 4:], golden["logits"][:, classes], rtol=0, atol=1e-4)


@pytest.mark.parametrize("network", ["mb1_ssd", "mobilenet_v2_ssd320", "ssdlite_mobilenetv2"])
def test_the_anchors_are_those_of_the_project(module, reference, network):
    golden, anchors = reference(network), module.NETWORKS[network].anchors.cxcywh
    # pytorch-ssd moves the centers of 19 cells from 304 pixels to the border of the picture, 300.
    beyond = anchors[:, :2].max(axis=1)
    expected = [304 / 300] * 19 * 6 if network == "mb1_ssd" else []
    np.testing.assert_allclose(beyond[beyond > 1], expected)
    moved = np.hstack([anchors[:, :2].clip(max=1), anchors[:, 2:]])
    np.testing.assert_allclose(moved[golden["places"]], golden["priors"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("first", ["BACKGROUND\n", ""])
def test_the_command_writes_a_model(module, reference, tmp_path, monkeypatch, capsys, first):
    golden = reference("mb1_ssd_lite")
    path = write_pth(tmp_path / "x.pth", state_of(golden))
    (tmp_path / "labels.txt").write_text(f"{first}cat\ndog\n")
    output = tmp_path / "detector.keras"
    run(module, monkeypatch, path, tmp_path / "labels.txt", output)
    assert capsys.readouterr().out == f"{output}: mb1_ssd_lite, 2 classes\n"
    model = keras.models.load_model(output)
    assert mb.class_names_of(model) == ("cat", "dog")
    logits = model.predict(drawn_picture(300, 300)[None], verbose=0)[0, golden["places"], 4:]
    np.testing.assert_allclose(logits, golden["logits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("network", "labels", "message"),
    [
        ("mb1_ssd", "BACKGROUND\ncat\n", r"map0_mbox_conf has the shapes .* 2 classes, the model 1"),
        ("ssdlite_mobilenetv2", "cat\n", r"map0_mbox_conf has the shapes .* 2 classes, the model 1"),
        ("mb1_ssd", "", r"labels.txt: expected a class a line, found none"),
        (None, "cat\n", r"x.pth: expected one of mb2_ssd_lite, .*, ssdlite_mobilenetv2, found none of"),
    ],
)
def test_a_file_that_does_not_fit_is_an_error_in_one_line(
    module, reference, tmp_path, monkeypatch, network, labels, message
):
    state = state_of(reference(network)) if network else {"other.weight": np.zeros((1, 1, 3, 3), np.float32)}
    (tmp_path / "labels.txt").write_text(labels)
    with pytest.raises(SystemExit, match=message) as error:
        run(
            module,
            monkeypatch,
            write_pth(tmp_path / "x.pth", state),
            tmp_path / "labels.txt",
            tmp_path / "o.keras",
        )
    assert str(error.value).startswith("error: ") and "\n" not in str(error.value)
    assert not (tmp_path / "o.keras").exists()
