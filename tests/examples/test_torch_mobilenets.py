"""The converter of examples/, with weights drawn by rule, against the outputs of the networks for torch."""

import ast
import sys

import keras
import numpy as np
import pytest
from drawn_weights import drawn_picture, drawn_weight
from foreign_files import write_pth

import multibox as mb

NETWORKS = ("mb1_ssd", "mb1_ssd_lite", "mb2_ssd_lite", "mobilenet_v2_ssd320", "ssdlite_mobilenetv2")


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


@pytest.mark.parametrize(
    "labels", ["BACKGROUND\ncat\ndog\n", "\ufeff__background__\r\ncat\r\ndog", " cat\n\ndog"]
)
def test_labels(module, tmp_path, labels):
    (tmp_path / "labels.txt").write_text(labels, encoding="utf-8", newline="")
    assert module.read_labels(tmp_path / "labels.txt") == ["cat", "dog"]


def test_the_command_writes_a_model(module, reference, tmp_path, monkeypatch, capsys):
    golden = reference("mb1_ssd_lite")
    path, labels, output = (
        write_pth(tmp_path / "x.pth", state_of(golden)),
        tmp_path / "l.txt",
        tmp_path / "d.keras",
    )
    labels.write_text("BACKGROUND\ncat\ndog\n")
    run(module, monkeypatch, path, labels, output)
    assert capsys.readouterr().out == f"{output}: mb1_ssd_lite, 300x300, 2 classes\n"
    model = keras.models.load_model(output)
    assert mb.class_names_of(model) == ("cat", "dog")
    logits = model.predict(drawn_picture(300, 300)[None], verbose=0)[0, golden["places"], 4:]
    np.testing.assert_allclose(logits, golden["logits"], rtol=0, atol=1e-4)
    written = output.read_bytes()
    with pytest.raises(SystemExit, match=r"d\.keras exists"):
        run(module, monkeypatch, path, labels, output)
    assert output.read_bytes() == written


@pytest.mark.parametrize(
    ("network", "labels", "output", "message"),
    [
        ("mb1_ssd", b"BACKGROUND\ncat\n", "o.keras", r"x.pth: has 2 classes .*, but the names are 1: cat"),
        (
            "ssdlite_mobilenetv2",
            b"a\nb\nc\n",
            "o.keras",
            r"x.pth: has 2 classes .*, but the names are 3: a, b, c",
        ),
        ("mb1_ssd", b"", "o.keras", r"l.txt: expected a class a line, found none"),
        ("mb1_ssd", b"caf\xe9", "o.keras", r"l.txt: expected a class a line, found no UTF-8 text"),
        ("mb1_ssd", b"a\nb", "o.pth", r"o.pth: expected a name that ends with .keras"),
        (
            None,
            b"cat\n",
            "o.keras",
            r"x.pth: expected one of mb2_ssd_lite, .*, ssdlite_mobilenetv2, found none",
        ),
    ],
)
def test_files_that_do_not_fit_are_an_error_in_one_line(
    module, reference, tmp_path, monkeypatch, network, labels, output, message
):
    state = state_of(reference(network)) if network else {"other.weight": np.zeros((1, 1, 3, 3), np.float32)}
    path = write_pth(tmp_path / "x.pth", state)
    (tmp_path / "l.txt").write_bytes(labels)
    with pytest.raises(SystemExit, match=message) as error:
        run(module, monkeypatch, path, tmp_path / "l.txt", tmp_path / output)
    assert str(error.value).startswith("error: ") and "\n" not in str(error.value)
    assert {file.name for file in tmp_path.iterdir()} == {"x.pth", "l.txt"}


def test_another_width_is_refused(module, reference, tmp_path):
    state = state_of(reference("mb1_ssd"))
    state["base_net.0.0.weight"] = state["base_net.0.0.weight"][:16]
    with pytest.raises(
        ValueError, match=r"layer stem has the shapes .*\(expected mb1_ssd at its full width\)"
    ):
        module.convert(write_pth(tmp_path / "x.pth", state), ["cat", "dog"])
