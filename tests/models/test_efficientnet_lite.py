"""The EfficientNet-Lite backbones of SSDLite, and their weights."""

import re

import keras
import numpy as np
import pytest
from drawn_weights import drawn_picture
from foreign_files import write_pth

import multibox as mb
from multibox.weights.installed import installed_path
from multibox.weights.loading import load_weights
from multibox.weights.published import SOURCES

C4_BLOCKS = (12, 16, 16)  # of Lite0, 1 and 2
NORM_PARTS = ("weight", "bias", "running_mean", "running_var")


def lite(version=0, **options):
    return mb.SSDLite(2, backbone=f"efficientnet_lite{version}", **options)


def features_of(model, version):
    """{source: the layer whose output it is}"""
    names = {"c4": f"block{C4_BLOCKS[version]}_expand_activation", "c5": "last_activation"}
    return {source: model.get_layer(name) for source, name in names.items()}


def small(**options):
    return lite(**{"alpha": 0.1, "image_size": (64, 64), **options})


def torch_names(blocks=16):
    """{name of our convolution: names of the torch network's convolution and BatchNorm}"""
    names = {"stem": ("_conv_stem", "_bn0"), "last": ("_conv_head", "_bn1")}
    for i in range(blocks):
        for number, part in enumerate(("expand", "depthwise", "project")):
            if i or part != "expand":
                names[f"block{i + 1}_{part}"] = (
                    f"_blocks.{i}._{part}_conv",
                    f"_blocks.{i}._bn{number}",
                )
    return names


def torch_state(model, blocks=16):
    """The weights of the model's backbone as the torch network names and lays them out."""
    state = {}
    for ours, (conv, norm) in torch_names(blocks).items():
        (kernel,) = model.get_layer(ours).get_weights()
        order = (2, 3, 0, 1) if ours.endswith("depthwise") else (3, 2, 0, 1)
        state[f"{conv}.weight"] = kernel.transpose(order)
        for part, array in zip(NORM_PARTS, model.get_layer(f"{ours}_bn").get_weights(), strict=True):
            state[f"{norm}.{part}"] = array
    return state | {"_fc.weight": np.zeros((3, 1280), np.float32), "_fc.bias": np.zeros(3, np.float32)}


@pytest.fixture(scope="module")
def drawn():
    """A narrow model with different numbers in all its weights."""
    model, rng = small(), np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(np.abs(rng.standard_normal(weight.shape)).astype(np.float32))
    return model


@pytest.mark.parametrize(
    ("version", "size"), [(0, (96, 96)), (0, (224, 224)), (0, (75, 110)), (1, (75, 110)), (2, (75, 110))]
)
def test_the_features_are_those_of_the_torch_network(small_golden, version, size):
    source = SOURCES[f"efficientnet_lite{version}_imagenet"]
    if installed_path(source.package, source.member) is None:
        pytest.skip(f"the package {source.package} is not installed")
    golden = np.load(small_golden / "efficientnet_lite" / f"lite{version}.npz")
    model = lite(version, image_size=size, weights="imagenet")
    image, name = drawn_picture(*size), "{}x{}".format(*size)
    assert image.sum(dtype=np.int64) == golden[f"{name}_image_sum"]
    layers = features_of(model, version)
    found = keras.Model(model.inputs, [x.output for x in layers.values()]).predict(image[None], verbose=0)
    for source, features in zip(layers, found, strict=True):
        key = f"{name}_{source}"
        assert features.shape[1:] == tuple(golden[f"{key}_shape"])
        values = features.ravel()[golden[f"{key}_places"]]
        assert np.mean(golden[f"{key}_values"] > 0.01) > 0.4
        np.testing.assert_allclose(values, golden[f"{key}_values"], rtol=0, atol=1e-4)
        statistics = [features.mean(dtype=np.float64), features.std(dtype=np.float64)]
        np.testing.assert_allclose(statistics, golden[f"{key}_mean_std"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("version", "parameters", "c4_channels", "without_sum"),
    [
        (0, 3_413_024, 672, (1, 2, 4, 6, 9, 12, 16)),
        (1, 4_189_344, 672, (1, 2, 5, 8, 12, 16, 21)),
        (2, 4_869_168, 720, (1, 2, 5, 8, 12, 16, 21)),
    ],
)
def test_structure(version, parameters, c4_channels, without_sum):
    model = lite(version, image_size=(320, 320))
    assert model.name == f"ssdlite_efficientnet_lite{version}"
    assert mb.anchors_of(model) == mb.anchors.SSDLITE320
    backbone = [x for x in model.layers if re.match(r"stem|block\d|last", x.name)]
    assert sum(layer.count_params() for layer in backbone) == parameters
    layers = features_of(model, version)
    shapes = {source: layer.output.shape[1:] for source, layer in layers.items()}
    assert shapes == {"c4": (20, 20, c4_channels), "c5": (10, 10, 1280)}
    sums = [x.name for x in model.layers if isinstance(x, keras.layers.Add)]
    assert sums == [f"block{i}_add" for i in range(1, max(without_sum)) if i not in without_sum]
    assert model.get_layer("c4_mbox_loc_depthwise").input is layers["c4"].output
    normalization = model.get_layer("normalization")
    assert (normalization.mean, normalization.scale) == (127.0, 1 / 128)


def test_the_first_and_the_last_layer_keep_their_width():
    model = lite(alpha=0.5, image_size=(64, 64))
    names = ("stem", "block1_project", "block12_expand", "block16_project", "last", "extra1_expand")
    assert [model.get_layer(name).filters for name in names] == [32, 8, 336, 160, 1280, 256]


def test_frozen_batch_norms_are_those_of_the_backbone():
    norms = [layer for layer in small(freeze_batch_norm=True).layers if layer.name.endswith("_bn")]
    trained = {layer.name for layer in norms if layer.trainable}
    assert len(norms) - len(trained) == len(torch_names())
    assert trained and all(name.startswith(("extra", "c4_mbox", "c5_mbox")) for name in trained)


def test_the_model_survives_saving(tmp_path, drawn):
    drawn.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    image = drawn_picture(64, 64)[None]
    expected = drawn.predict(image, verbose=0)
    assert np.isfinite(expected).all() and np.std(expected) > 0.1
    np.testing.assert_allclose(again.predict(image, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_a_file_of_torch_gives_every_layer_of_the_backbone(tmp_path, drawn):
    path = write_pth(tmp_path / "lite0.pth", torch_state(drawn))
    model = small()
    report = load_weights(model, path)
    assert report.origin == "efficientnet-lite-pytorch's EfficientNet-Lite0 for ImageNet"
    assert set(report.loaded) == {name + norm for name in torch_names() for norm in ("", "_bn")}
    assert set(report.skipped) == {"_fc.weight", "_fc.bias"}
    for name in report.loaded:
        ours, theirs = (x.get_layer(name).get_weights() for x in (model, drawn))
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)


def _without(name):
    return lambda state: state.pop(name)


def _with(name):
    return lambda state: state.update({name: np.zeros(8, np.float32)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with("_blocks.0._se_reduce.bias"), "found an EfficientNet with squeeze-and-excitation"),
        (_with("_blocks.16._bn1.bias"), "Lite0 with 16 blocks, .*-Lite1 or Lite2 with 21 blocks, found 17"),
        (_without("_blocks.3._bn2.running_var"), r"expected the tensor _blocks\.3\._bn2\.running_var"),
        (
            lambda state: state.update({"_conv_head.weight": np.zeros(3, np.float32)}),
            "kernel of a convolution",
        ),
        (lambda state: state["_bn0.bias"].fill(np.nan), "layer stem_bn has numbers that are not finite"),
    ],
)
def test_a_file_of_another_network_is_refused_in_one_line(tmp_path, drawn, change, message):
    state = {name: array.copy() for name, array in torch_state(drawn).items()}
    change(state)
    path = write_pth(tmp_path / "x.pth", state)
    with pytest.raises(ValueError, match=message) as error:
        load_weights(small(), path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_a_damaged_file_is_refused_in_one_line(tmp_path, drawn):
    path = write_pth(tmp_path / "x.pth", torch_state(drawn))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"expected a zip archive .* found a damaged one") as error:
        load_weights(small(), path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_another_width_is_refused(tmp_path, drawn):
    path = write_pth(tmp_path / "x.pth", torch_state(drawn))
    with pytest.raises(ValueError, match=r"block2_project has the shapes .*another alpha"):
        load_weights(lite(alpha=0.5, image_size=(64, 64)), path)
    with pytest.raises(ValueError, match=r"with backbone='efficientnet_lite0', alpha=1\.0$"):
        small(weights="imagenet")
    with pytest.raises(ValueError, match="no published weights 'coco', only imagenet"):
        small(weights="coco")


def test_the_weights_of_another_version_are_refused(tmp_path, drawn):
    path = write_pth(tmp_path / "x.pth", torch_state(drawn))
    with pytest.raises(ValueError, match=r"block4_depthwise has the shapes .* or another network"):
        load_weights(small(version=1), path)
    path = write_pth(tmp_path / "y.pth", torch_state(small(version=1, alpha=1.0), blocks=21))
    with pytest.raises(ValueError, match=r"Lite1 or Lite2 .* has the shapes .* another network"):
        load_weights(small(version=2, alpha=1.0), path)
