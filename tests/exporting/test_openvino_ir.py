import json

import keras
import numpy as np
import pytest

import multibox as mb

openvino = pytest.importorskip("openvino", reason="openvino is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

from multibox.exporting import activations, checking  # noqa: E402

SIZE = (64, 96)


def network(function=mb.SSD7):
    keras.utils.set_random_seed(0)
    model = function(class_names=("cat", "dög", "a & b"), image_size=SIZE)
    for layer in model.layers:
        if "mbox_conf" in layer.name:
            layer.bias.assign(np.zeros(layer.bias.shape))  # untrained sigmoids begin near 0.01
    return model


def pictures(count=2):
    return np.random.default_rng(1).integers(0, 256, (count, *SIZE, 3), np.uint8)


def run(path, images):
    """As somebody without multibox runs the files."""
    return openvino.Core().compile_model(str(path), "CPU")(images)[0]


@pytest.mark.parametrize("options", [{}, {"class_agnostic": True}])
@pytest.mark.parametrize("function", [mb.SSD7, mb.SSDMobileNet])  # softmax, sigmoid
def test_the_files_give_the_rows_of_keras_in_float32(tmp_path, options, function):
    """Also on processors where OpenVINO computes in bfloat16 unless it is told otherwise."""
    detector = mb.to_inference(network(function), **options)
    found = run(mb.export(detector, tmp_path / "m.xml"), pictures())
    expected = np.asarray(detector.predict_on_batch(pictures()))
    assert (expected[:, 20, 1] > 0.05).all()
    assert max(map(checking.largest_difference, expected, found)) <= 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.bin", "m.xml"]


def test_every_layer_is_marked(tmp_path):
    from xml.etree import ElementTree

    found = [*ElementTree.parse(mb.export(network(), tmp_path / "m.xml")).getroot().iter("layer")]
    assert all(layer.find("rt_info/attribute[@name='precise']") is not None for layer in found)
    # OpenVINO sorts 20 times as slowly if equal scores must keep their order.
    kinds = [layer.find("data").attrib for layer in found if layer.get("type") == "TopK"]
    assert len(kinds) >= 2 and not any(kind.get("stable") == "true" for kind in kinds)


def test_bfloat16_leaves_the_network_unmarked(tmp_path):
    from xml.etree import ElementTree

    path = mb.export(network(), tmp_path / "m.xml", precision="bfloat16")
    marked = {
        layer.get("type"): layer.find("rt_info/attribute[@name='precise']") is not None
        for layer in ElementTree.parse(path).getroot().iter("layer")
    }
    assert not marked["Convolution"] and marked["NonMaxSuppression"] and marked["TopK"]
    assert run(path, pictures()).shape == (2, 200, 6)


def test_the_metadata_are_in_the_file(tmp_path):
    model = openvino.Core().read_model(mb.export(network(), tmp_path / "m.xml"))
    names = model.get_rt_info(["multibox", "class_names"]).astype(str)
    assert json.loads(names) == ["cat", "dög", "a & b"]
    hint = model.get_rt_info(["runtime_options", "INFERENCE_PRECISION_HINT"]).astype(str)
    assert hint == "f32"


@pytest.mark.parametrize("name", ["m.xml", "m.bin"])
def test_neither_file_is_replaced_unasked(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=rf"{name} exists already"):
        mb.export(network(), tmp_path / "m.xml")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]
    path = mb.export(network(), tmp_path / "m.xml", overwrite=True)
    assert run(path, pictures()).any()


def test_files_that_disagree_leave_the_old_ones(tmp_path, monkeypatch):
    for name in ("m.xml", "m.bin"):
        (tmp_path / name).write_text("old")
    monkeypatch.setitem(activations.ACTIVATIONS, "elu", activations.ACTIVATIONS["relu"])
    with pytest.raises(
        RuntimeError, match=r"m.xml is not written: in OpenVINO, the network's outputs differ"
    ):
        mb.export(network(), tmp_path / "m.xml", overwrite=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"m.xml": "old", "m.bin": "old"}


def test_a_program_killed_between_the_names_leaves_no_mixed_pair(tmp_path, monkeypatch):
    path = mb.export(network(), tmp_path / "m.xml")
    replace = type(path).replace

    def killed(self, target):
        if target == path:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        mb.export(network(), path, overwrite=True)
    assert [file.name for file in tmp_path.iterdir()] == ["m.bin"]


def test_the_ending_is_that_of_openvino(tmp_path):
    with pytest.raises(
        ValueError, match=r"an OpenVINO file must end with .xml, its weights with .bin; got .*m"
    ):
        mb.export(network(), tmp_path / "m", "openvino")
    assert not [*tmp_path.iterdir()]
