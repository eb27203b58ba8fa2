"""Weights of every origin in our models; the reference outputs of their own networks are the judge."""

import json
import warnings

import h5py
import keras
import numpy as np
import pytest
from foreign_files import keras2
from golden_mobilenet import stored_weights
from reference import caffe_weights, torchvision_state
from torch_names import SSD_PYTORCH

import multibox as mb
from multibox.weights import loading
from multibox.weights.loading import load_weights
from multibox.weights.mapping import mobilenet, vgg16
from multibox.weights.mapping.mapped import Mapped, adapt_pixels

TFLITE = "ssd_mobilenet_v1_coco/ssd_mobilenet.tflite"
PTH = "torchvision/ssdlite320_random.pth"


@pytest.fixture(scope="module")
def ssd300():
    return mb.SSD300(20)


@pytest.fixture(scope="module")
def mobile():
    return mb.SSDMobileNet(90, alpha=0.75, batch_norm=False)


def forget(model):
    """Other weights in every layer, so that what is not loaded shows."""
    for layer in model.layers:
        layer.set_weights([np.full(w.shape, 7.0, np.float32) for w in layer.weights])


def snapshot(model):
    return {w.path: float(np.asarray(w.numpy() if hasattr(w, "numpy") else w).sum()) for w in model.weights}


def test_names_of_a_file_cannot_control_the_terminal(tmp_path):
    model = mb.SSD7(2, image_size=(64, 64))
    conv1 = model.get_layer("conv1").get_weights()[0]
    layers = {"conv1": {"k": conv1}, "\x1b[2J\n_mbox_loc": {"k": np.zeros(3, np.float32)}}
    path = keras2(tmp_path / "x.h5", layers)
    report = load_weights(model, path, strict=False)
    assert r"    \x1b[2J\n_mbox_loc: no such layer in the model" in str(report).splitlines()
    keras2(path, {"\x1b[2J\n_mbox_loc": {"k": np.zeros(3, np.float32)}})
    with pytest.raises(ValueError, match=r"with the layers \\x1b\[2J\\n_mbox_loc, \.\.\. fit no layer"):
        load_weights(model, path, strict=False)


# Whole detectors ----------------------------------------------------------------------------------------


def test_tflite_gives_every_layer(golden, mobile):
    forget(mobile)
    report = load_weights(mobile, golden / TFLITE)
    expected = stored_weights(golden / "ssd_mobilenet_v1_coco")
    assert set(report.loaded) == set(expected) and not report.left
    for name, arrays in expected.items():
        for ours, array in zip(mobile.get_layer(name).get_weights(), arrays, strict=True):
            np.testing.assert_array_equal(ours, array)
    assert sum(report.loaded.values()) == 4_101_231 == mobile.count_params()


def test_tflite_gives_the_outputs_of_its_network(golden, mobile):
    forget(mobile)
    load_weights(mobile, golden / TFLITE)
    data = np.load(golden / "ssd_mobilenet_v1_coco" / "golden.npz")
    predictions = mobile.predict(data["images"][:2], verbose=0)
    np.testing.assert_allclose(predictions[..., [1, 0, 3, 2]], data["box_encodings"][:2], atol=1e-3)
    np.testing.assert_allclose(predictions[..., 4:], data["class_logits"][:2], atol=1e-3)


def test_inference_models_take_the_same_files(golden, mobile):
    detector = mb.to_inference(mobile)
    forget(mobile)
    report = load_weights(detector, golden / TFLITE)
    assert len(report.loaded) == 47 and not report.left


# Strict or not ------------------------------------------------------------------------------------------


@pytest.fixture
def blobs_with_another_layer(tmp_path):
    model = mb.SSD7(2)
    layers = {
        layer.name: {f"{layer.name}/{w.name}:0": np.ones(w.shape, np.float32) for w in layer.weights}
        for layer in model.layers
        if layer.weights
    }
    layers["conv99"] = {"conv99/kernel:0": np.ones((1, 1, 2, 2), np.float32)}
    return keras2(tmp_path / "other.h5", layers)


def fails(model, path, *parts, **options):
    before = snapshot(model)
    with pytest.raises(ValueError) as error:
        load_weights(model, path, **options)
    assert str(path) in str(error.value) and "\n" not in str(error.value)
    for part in parts:
        assert part in str(error.value), error.value
    assert snapshot(model) == before, "the model was changed"


def test_other_numbers_of_classes(golden):
    model = mb.SSDMobileNet(20, alpha=0.75, batch_norm=False)
    fails(
        model,
        golden / TFLITE,
        "mbox_conf has the shapes (1, 1, 384, 273) and (273,) in the file, (1, 1, 384, 63) and (63,) in",
        "the file has 90 classes, the model 20: see sample_classes",
    )
    report = load_weights(model, golden / TFLITE, strict=False)
    assert len(report.loaded) == 41 and len(report.left) == 6
    assert all(name.endswith("_mbox_conf") for name in report.left)
    assert "conv_pw_11_mbox_conf, conv_pw_13_mbox_conf, extra1_mbox_conf and 3 more: other shapes" in str(
        report
    )


def test_all_causes_are_named_at_once(golden):
    """The model with default arguments: another width, BatchNorm, other classes."""
    model = mb.SSDMobileNet(20)
    causes = ("0.75 times the width", "batch_norm=False", "the file has 90 classes, the model 20")
    fails(model, golden / TFLITE, *causes)


def test_the_cause_is_named(golden):
    fails(mb.SSDMobileNet(90, batch_norm=False), golden / TFLITE, "0.75 times the width")
    fails(mb.SSDMobileNet(90, alpha=0.75), golden / TFLITE, "batch_norm=False", "conv1_bn is not in the file")


def test_a_file_of_another_network(golden, mobile):
    for strict in (True, False):
        fails(mobile, golden / "caffe/small_layer_form.caffemodel", "fit no layer", strict=strict)


def test_chosen_layers(golden, mobile):
    forget(mobile)
    before = snapshot(mobile)
    report = load_weights(mobile, golden / TFLITE, layers=["conv1", "conv_dw_*"])
    assert set(report.loaded) == {"conv1", *(f"conv_dw_{i}" for i in range(1, 14))}
    changed = {path.split("/")[0] for path, value in snapshot(mobile).items() if value != before[path]}
    assert changed == set(report.loaded)
    with pytest.raises(ValueError, match="'no such' matches no layer"):
        load_weights(mobile, golden / TFLITE, layers=["no such"])


def test_numbers_that_are_not_finite(tmp_path):
    model = mb.SSD7(3, image_size=(64, 64))
    path = tmp_path / "x.weights.h5"
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        file["layers/conv2d_3/vars/0"][0, 0, 0, 0] = np.nan
    fails(model, path, "layer conv4 has numbers that are not finite", strict=False)


def test_no_such_file(mobile):
    with pytest.raises(FileNotFoundError, match="no weight file nowhere"):
        load_weights(mobile, "nowhere")


@pytest.mark.parametrize("name", ["x.keras", "x.weights.h5"])
def test_our_own_files(tmp_path, name):
    model, other = mb.SSD7(3, image_size=(64, 64)), mb.SSD7(3, mode="inference", image_size=(64, 64))
    (model.save_weights if "weights" in name else model.save)(tmp_path / name)
    report = load_weights(other, tmp_path / name)
    assert not report.left and not report.skipped
    for layer in model.layers:
        for ours, theirs in zip(other.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_backbone_leaves_the_rest(tmp_path):
    """keras.applications' files hold a classifier whose layers have our names."""
    classifier = keras.applications.MobileNet((64, 64, 3), alpha=0.5, weights=None, classes=7)
    classifier.save_weights(tmp_path / "x.weights.h5")
    model = mb.SSDMobileNet(3, alpha=0.5)
    report = load_weights(model, tmp_path / "x.weights.h5")
    names = [layer.name for layer in classifier.layers if layer.weights and layer.name != "conv_preds"]
    assert set(report.loaded) == set(names) and len(names) == 54
    assert set(report.skipped) == {"conv_preds"}
    assert {name.split("_")[0] for name in report.left} <= {"extra1", "extra2", "extra3", "extra4", "conv"}
    kernel = classifier.get_layer("conv_pw_13").get_weights()[0]
    np.testing.assert_array_equal(model.get_layer("conv_pw_13").get_weights()[0], kernel)


# VGG16 and its SSDs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "blocks"), [("ssd300", (6, 7, 8, 9)), ("ssd512", (6, 7, 8, 9, 10))])
def test_every_layer_of_ssd_keras_and_caffe(monkeypatch, request, model, blocks):
    """Their names, written out; arrays of our shapes with numbers of their own."""
    net = request.getfixturevalue("ssd300") if model == "ssd300" else mb.SSD512(20)
    extras = [f"conv{b}_{i}" for b in blocks for i in (1, 2)]
    sources = ["conv4_3_norm", "fc7", *(f"conv{b}_2" for b in blocks)]
    names = [*vgg16.TRUNK, "fc6", "fc7", "conv4_3_norm", *extras]
    names += [f"{source}_mbox_{kind}" for source in sources for kind in ("loc", "conf")]
    arrays = {
        n: [np.full(w.shape, i, np.float32) for w in net.get_layer(n).weights] for i, n in enumerate(names)
    }
    monkeypatch.setattr(loading, "map_weights", lambda *_: Mapped("ssd_keras", arrays))
    report = load_weights(net, __file__)
    assert set(report.loaded) == set(names) and not report.left and not report.skipped
    for i, name in enumerate(names):
        assert all((w == i).all() for w in net.get_layer(name).get_weights())


@pytest.mark.parametrize("variant", ["plain", "strongbias"])
def test_caffe_layout(golden, variant):
    blobs = caffe_weights(golden / "caffe", variant)
    mapped = vgg16.from_caffe(blobs)
    assert mapped.expected is None and mapped.pixels == vgg16.CAFFE_BGR
    for name, (kernel, *rest) in blobs.items():
        ours = mapped.layers[name]
        assert len(ours) == 1 + len(rest)
        if kernel.ndim == 4:
            assert ours[0][0, 1 % ours[0].shape[1], 2, 3] == kernel[3, 2, 0, 1 % ours[0].shape[1]]
        else:
            np.testing.assert_array_equal(ours[0], kernel)


def test_ssd_pytorch_is_torchvision_by_other_names(golden):
    """The same tensors under both projects' names become the same layers."""
    state = torchvision_state(golden / "torchvision", "ssd300_21")
    renamed = {"L2Norm.weight": state["backbone.scale_weight"]}
    heads = {"loc": "regression", "conf": "classification"}
    for ours, theirs in SSD_PYTORCH.items():
        kind, _, level = theirs.partition(".")
        name = f"head.{heads[kind]}_head.module_list.{level}" if kind in heads else None
        for leaf in ("weight", "bias"):
            renamed[f"{theirs}.{leaf}"] = state[f"{name or 'backbone.' + vgg16.TORCHVISION[ours]}.{leaf}"]
    one, names = vgg16.from_torchvision(state), vgg16.torch_project(renamed)
    other = vgg16.from_torch_project(renamed, names)
    assert not one.unused and not other.unused
    assert set(one.layers) == set(other.layers)
    for name, arrays in one.layers.items():
        assert all((a == b).all() for a, b in zip(arrays, other.layers[name], strict=True))
    assert other.pixels == {"mean": (123.0, 117.0, 104.0), "bgr": False}
    assert vgg16.channel_order(other, "bgr").pixels["bgr"] is True


def test_vgg16_of_keras_is_sampled():
    """fc1: rows and columns 0, 3, 6 of 7, channels 0, 4, ... of 4096; numbers say where they are from."""
    rows, columns, inputs, outputs = np.ogrid[:7, :7, :512, :4096]
    kernel = (((rows * 7 + columns) * 3 + inputs % 3) * 5 + outputs % 5).astype(np.float32)
    layers = {theirs: [np.zeros((3, 3, 2, 2)), np.zeros(2)] for theirs in vgg16.KERAS.values()}
    layers["fc1"] = [kernel.reshape(25088, 4096), np.arange(4096)]
    layers["fc2"] = [np.arange(4096)[:, None] + np.arange(4096)[None] / 4096, np.arange(4096)]
    layers["predictions"] = [np.zeros((4096, 1000))]
    mapped = vgg16.from_keras(layers)
    assert mapped.unused == ["predictions"] and mapped.expected == vgg16.BACKBONE
    fc6, fc6_bias = mapped.layers["fc6"]
    assert fc6.shape == (3, 3, 512, 1024)
    for r, c, i, o in ((0, 0, 0, 0), (1, 2, 5, 7), (2, 2, 511, 1023), (2, 0, 100, 500)):
        assert fc6[r, c, i, o] == kernel[3 * r, 3 * c, i, 4 * o]
    np.testing.assert_array_equal(fc6_bias, np.arange(0, 4096, 4))
    fc7, _ = mapped.layers["fc7"]
    assert fc7.shape == (1, 1, 1024, 1024)
    assert fc7[0, 0, 10, 20] == 40 + 80 / 4096
    assert {"conv1_1", "conv5_3"} <= set(mapped.layers)


def test_vgg16_of_keras_without_the_top():
    layers = {theirs: [np.zeros((3, 3, 2, 2)), np.zeros(2)] for theirs in list(vgg16.KERAS.values())[:13]}
    assert vgg16.from_keras(layers).expected == set(vgg16.TRUNK)


# Pixels -------------------------------------------------------------------------------------------------

GIVEN = {"mean": [123.0, 117.0, 104.0], "scale": 1.0, "bgr": True}
EXPECTED = [
    {"mean": (120.0, 110.0, 100.0)},
    {"mean": (120.0, 110.0, 100.0), "bgr": True},
    {"mean": 127.5, "scale": 1 / 127.5},
    mobilenet.IMAGENET_PIXELS,
    vgg16.CAFFE_BGR,
]


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("expected", EXPECTED)
def test_a_first_layer_gives_the_same_on_the_pixels_of_the_model(expected, norm):
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (5, 5, 3))
    kernel = rng.standard_normal((5, 5, 3, 4))
    bias, mean = rng.standard_normal(4), rng.standard_normal(4)

    def pixels(mean, scale=1.0, bgr=False):
        x = (image - np.asarray(mean)) * np.asarray(scale)
        return x[..., ::-1] if bgr else x

    def first(kernel, bias, mean, x):
        return np.einsum("hwio,hwi->o", kernel, x) + bias - mean

    layers = {"stem": [kernel], "stem_bn": [None, None, mean, None]} if norm else {"stem": [kernel, bias]}
    bias, mean = (np.zeros(4), mean) if norm else (bias, np.zeros(4))
    mapped = Mapped("a test", layers, pixels=expected, first="stem")
    wanted = first(kernel, bias, mean, pixels(**expected))
    adapt_pixels(mapped, GIVEN)
    new_bias = bias if norm else mapped.layers["stem"][1]
    new_mean = mapped.layers["stem_bn"][2] if norm else mean
    found = first(mapped.layers["stem"][0], new_bias, new_mean, pixels(**GIVEN))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
    if expected is vgg16.CAFFE_BGR:
        np.testing.assert_array_equal(mapped.layers["stem"][0], kernel.astype(np.float32))


# torchvision's mobilenet_v3_large -----------------------------------------------------------------------


def imagenet_state(golden):
    """mobilenet_v3_large's state_dict, from SSDLite's: its names, and the last stage twice as wide."""
    shapes = json.loads((golden / "torchvision" / "ssdlite320_91_state.json").read_text())
    state = {}
    for name, shape in shapes.items():
        if not name.startswith("backbone.features"):
            continue
        part, block, rest = name.removeprefix("backbone.features.").split(".", 2)
        number = int(block) + 13 * int(part)
        if (part, block) == ("0", "13"):
            rest = f"block.0.{rest}"
        elif (part, block) == ("1", "0"):
            unit, rest = rest.split(".", 1)
            rest = f"block.{unit}.{rest}"
        wide = [{80: 160, 480: 960, 120: 240}.get(n, n) if number > 13 else n for n in shape]
        if number == 13 and rest.startswith("block.3") and wide:  # its projection
            wide[0] = 160
        state[f"features.{number}.{rest}"] = np.full(wide, len(state), np.float32)
    state["classifier.0.weight"] = np.zeros((1280, 960), np.float32)
    return state


def test_the_backbone_of_ssdlite_up_to_its_last_stage(golden, monkeypatch):
    mapped = mobilenet.from_mobilenet_v3(imagenet_state(golden))
    assert mapped.unused == ["classifier.0.weight"]
    monkeypatch.setattr(loading, "map_weights", lambda *_: mapped)
    report = load_weights(mb.SSDLite(3), __file__)
    blocks = {name.split("_")[0] for name in report.loaded}
    assert blocks == {"stem", *(f"block{i}" for i in range(1, 14))}
    assert "block13_excite" in report.loaded and "block13_project" not in report.loaded
    assert report.left["last"] == "other shapes" and report.left["extra1_reduce"] == "not in the file"
    del mapped.layers["block5_expand"]
    with pytest.raises(ValueError, match="block5_expand is not in the file"):
        load_weights(mb.SSDLite(3), __file__)


# The `weights` argument of the model functions ----------------------------------------------------------


def test_other_anchors_than_the_weights_were_trained_with(golden):
    anchors = mb.anchors.ssd_mobilenet_anchors((300, 300), min_scale=0.1)
    model = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, anchors=anchors)
    fails(model, golden / TFLITE, "multibox.anchors.SSD_MOBILENET_V1", "strict=False")
    with pytest.warns(UserWarning, match=r"multibox\.anchors\.SSD_MOBILENET_V1"):
        load_weights(model, golden / TFLITE, strict=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the backbone knows no anchors
        load_weights(model, golden / TFLITE, layers=["conv1", "conv_dw_*"])


@pytest.mark.parametrize(
    ("last", "outputs", "expected"),
    [
        ("conv9_2", 21, "SSD300_VOC"),
        ("conv9_2", 81, "SSD300_COCO"),
        ("conv10_2", 21, "SSD512_VOC_CAFFE"),
        ("conv10_2", 81, "SSD512_COCO_CAFFE"),
        ("conv10_2", 4, None),
    ],
)
def test_the_anchors_that_caffes_detectors_were_trained_with(last, outputs, expected):
    blobs = {
        f"{source}_mbox_conf": [
            np.zeros((4 * outputs, 8, 3, 3), np.float32),
            np.zeros(4 * outputs, np.float32),
        ]
        for source in ("conv4_3_norm", last)
    }
    assert vgg16.from_caffe(blobs).anchors == expected


def test_the_model_functions_take_any_file(golden, mobile):
    load_weights(mobile, golden / TFLITE)
    options = {"alpha": 0.75, "batch_norm": False, "weights": golden / TFLITE}
    for mode in ("training", "inference"):
        model = mb.SSDMobileNet(90, mode=mode, **options)
        for layer in mobile.layers:
            for ours, theirs in zip(
                model.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_published_weights_are_fetched_by_the_name_of_the_data_set(golden, monkeypatch):
    fetched = []
    monkeypatch.setattr(loading, "fetch_source", lambda s: fetched.append(s.key) or golden / TFLITE)
    model = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False, weights="coco")
    assert fetched == ["ssd_mobilenet_coco"]
    assert mb.class_names_of(model)[:3] == ("person", "bicycle", "car")
    assert mb.load_weights(model, "coco").path == str(golden / TFLITE)
    fetched.pop()
    with pytest.raises(ValueError, match="no published weights 'coco'"):
        mb.SSD7(3, weights="coco")
    assert len(fetched) == 1


def test_a_page_in_place_of_a_file_without_a_digest_does_not_stay(tmp_path, monkeypatch):
    page = tmp_path / "mobilenet_1_0_224_tf_no_top.h5"
    page.write_text("<!DOCTYPE html><title>Sign in</title>")
    monkeypatch.setattr(loading, "fetch_source", lambda source: page)
    with pytest.raises(ValueError, match=r"mobilenet_1_0.*deleted, try again to download it"):
        mb.SSDMobileNet(3, weights="imagenet")
    assert not page.exists()
    page.write_text("<!DOCTYPE html>")
    with pytest.raises(ValueError, match="weight file, found a text file"):
        mb.SSDMobileNet(3, weights=page)
    assert page.exists()  # a file of the user's


def test_a_layer_that_the_model_lacks(tmp_path, blobs_with_another_layer):
    model = mb.SSD7(2)
    fails(model, blobs_with_another_layer, "layer conv99 of the file is not in the model", "another network")
    report = load_weights(model, blobs_with_another_layer, strict=False)
    assert report.skipped == {"conv99": "no such layer in the model"} and not report.left


def test_a_backbone_of_which_layers_are_missing(tmp_path):
    """The stem of a MobileNet is not the MobileNet."""
    model = mb.SSDMobileNet(2, alpha=0.5)
    layers = {}
    for name in ("conv1", "conv1_bn"):
        weights = model.get_layer(name).weights
        layers[name] = {f"{name}/{w.name}:0": np.ones(w.shape, np.float32) for w in weights}
    path = keras2(tmp_path / "mobilenet.h5", layers)
    fails(model, path, "layer conv_dw_1 is not in the file")
    assert set(load_weights(model, path, strict=False).loaded) == {"conv1", "conv1_bn"}
