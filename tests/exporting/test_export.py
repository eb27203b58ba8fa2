import json
import re

import keras
import numpy as np
import pytest

import multibox as mb

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from multibox.exporting import activations, checking, layers, step  # noqa: E402
from multibox.exporting.graph import Graph  # noqa: E402
from multibox.models import vgg16  # noqa: E402

SIZE = (64, 96)
NAMES = ("cat", "dog", "bird")
NARROW = tuple((8, convolutions) for _, convolutions in vgg16.VGG16)
SMALLEST = {
    "ssd7": (mb.SSD7, {"image_size": SIZE}),
    "ssd300": (mb.SSD300, {"image_size": (257, 290)}),
    "ssd512": (mb.SSD512, {"image_size": (257, 257)}),
    "ssdlite": (mb.SSDLite, {"image_size": (32, 64), "alpha": 0.25}),
    "efficientnet_lite0": (
        mb.SSDLite,
        {"image_size": (32, 64), "alpha": 0.25, "backbone": "efficientnet_lite0"},
    ),
    "ssd_mobilenet": (mb.SSDMobileNet, {"image_size": (32, 64), "alpha": 0.25}),
    "ssd_mobilenet_v2": (
        mb.SSDMobileNet,
        {"image_size": (32, 64), "alpha": 0.25, "backbone": "mobilenet_v2", "separable_extras": True},
    ),
}


def network(function=mb.SSD7, seed=0, **options):
    """A network whose BatchNorms have statistics, as after a training.

    Its logits are small: among many scores near 1, rounding decides which of two boxes suppresses the other.
    """
    keras.utils.set_random_seed(seed)
    model = function(class_names=NAMES, **({"image_size": SIZE} | options))
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.1, shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, shape))
            layer.gamma.assign(rng.uniform(0.5, 2, shape))
            layer.beta.assign(rng.normal(0, 0.1, shape))
        if layer.name.endswith("_mbox_conf"):
            layer.kernel.assign(layer.kernel * 0.2)
    return model


def pictures(count=3, size=SIZE, channels=3):
    return np.random.default_rng(1).integers(0, 256, (count, *size, channels), np.uint8)


def run(path, images):
    """As somebody without multibox runs the file."""
    return onnxruntime.InferenceSession(str(path)).run(None, {"image": images})[0]


@pytest.mark.parametrize(
    "options", [{}, {"class_agnostic": True}, {"max_detections": 900, "max_candidates": 50}]
)
def test_the_file_gives_the_rows_of_keras(tmp_path, options):
    keras.utils.set_random_seed(0)
    detector = mb.to_inference(mb.SSD7(3, image_size=SIZE), **options)
    images = pictures()
    expected = np.asarray(detector.predict_on_batch(images))
    found = run(mb.export(detector, tmp_path / "m.onnx"), images)
    assert found.shape == expected.shape and found.dtype == np.float32
    assert (expected[:, 100, 1] > 0.05).all()
    assert max(map(checking.largest_difference, expected, found)) <= 1e-5


def test_the_batch_may_have_any_size(tmp_path):
    path = mb.export(network(), tmp_path / "m.onnx")
    images = pictures(5)
    np.testing.assert_allclose(run(path, images[4:]), run(path, images)[4:], atol=1e-6)


@pytest.mark.parametrize("name", SMALLEST)
def test_every_network_can_be_exported(tmp_path, monkeypatch, name):
    """`export` compares the file with Keras itself."""
    monkeypatch.setattr(vgg16, "VGG16", NARROW)  # the same layers, with fewer channels
    function, options = SMALLEST[name]
    path = mb.export(network(function, **options), tmp_path / "m.onnx")
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(domain.domain, domain.version) for domain in model.opset_import] == [("", 17)]
    assert sum(node.op_type == "NonMaxSuppression" for node in model.graph.node) == 1


def test_pixels_become_those_of_the_network_also_with_four_channels(tmp_path):
    """BGR and a mean for each channel, as VGG16 has them."""
    image = keras.Input((*SIZE, 4))
    x = mb.layers.ImageNormalization([1.0, 2.0, 3.0, 4.0], 0.5, bgr=True)(image)
    call = step.Step(graph := Graph(), x._keras_history.operation, [image.shape], "normalization")
    graph.add_output(layers.add_normalization(call, "pixels"), ("batch", 4, *SIZE))
    given = onnx.helper.make_tensor_value_info("pixels", 1, ("batch", *SIZE, 4))
    model = graph.model("pixels", given, "0", {})
    pixels = pictures(1, channels=4).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"pixels": pixels})
    expected = (pixels - [1, 2, 3, 4])[..., [2, 1, 0, 3]] * 0.5
    np.testing.assert_array_equal(found, expected.transpose(0, 3, 1, 2).astype(np.float32))


def test_a_picture_without_objects_gives_zero_rows(tmp_path):
    model = mb.SSD7(3, image_size=SIZE)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])  # all scores are 0.25
    path = mb.export(model, tmp_path / "m.onnx", confidence_threshold=0.3)
    assert not run(path, np.zeros((2, *SIZE, 3), np.uint8)).any()


def test_a_saved_model_a_detector_and_options(tmp_path):
    model = network(mb.SSD7)
    model.save(tmp_path / "m.keras")
    a = mb.export(tmp_path / "m.keras", tmp_path / "new" / "a.onnx", max_detections=7)
    b = mb.export(mb.to_inference(model, max_detections=7), str(tmp_path / "b"), "onnx")
    assert run(a, pictures()).shape == (3, 7, 6)
    np.testing.assert_allclose(run(a, pictures()), run(b, pictures()), atol=1e-6)


NEST = {
    "functional": lambda image, inner: keras.Model(image, inner(image)),
    "sequential": lambda image, inner: keras.Sequential([image, inner]),
}


@pytest.mark.parametrize("nest", NEST.values(), ids=NEST)
@pytest.mark.parametrize("mode", ["training", "inference"])
def test_a_nested_model(tmp_path, nest, mode):
    model = network(mode=mode)
    outer = nest(keras.Input((*SIZE, 3)), model)
    found, expected = (mb.export(m, tmp_path / f"{m.name}.onnx") for m in (outer, model))
    np.testing.assert_array_equal(run(found, pictures()), run(expected, pictures()))


def test_a_compiled_model_keeps_what_it_was_compiled_with(tmp_path):
    model = network()
    model.compile("adam", loss := mb.loss_of(model))
    path = mb.export(model, tmp_path / "m.onnx")
    assert model.compiled and model.loss is loss
    np.testing.assert_array_equal(
        run(path, pictures()), run(mb.export(network(), tmp_path / "n.onnx"), pictures())
    )


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_written_in_float32(tmp_path, policy):
    model = network()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = network()
        path = mb.export(mixed, tmp_path / "mixed.onnx")
    finally:
        keras.config.set_dtype_policy("float32")
    rows = run(path, pictures())
    np.testing.assert_array_equal(rows, run(mb.export(model, tmp_path / "m.onnx"), pictures()))
    near = np.asarray(mb.to_inference(mixed).predict_on_batch(pictures()))
    np.testing.assert_allclose(np.sort(rows[..., 1]), np.sort(near[..., 1]), atol=0.02)
    assert not np.array_equal(rows, near)


def test_the_metadata_say_what_the_file_is(tmp_path):
    path = mb.export(network(), tmp_path / "m.onnx", iou_threshold=0.5)
    metadata = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(metadata["class_names"]) == [*NAMES]
    assert json.loads(metadata["image_size"]) == [64, 96]
    assert metadata["iou_threshold"] == "0.5" and metadata["confidence_threshold"] == "0.01"
    assert metadata["max_detections"] == "200" and metadata["multibox_version"] == mb.__version__
    assert "MIT licence" in metadata["licence"]
    assert re.fullmatch("[0-9a-f]{64}", metadata["anchors_sha256"])


def test_a_file_that_disagrees_is_not_written(tmp_path, monkeypatch):
    relu = activations.ACTIVATIONS["relu"]
    monkeypatch.setitem(activations.ACTIVATIONS, "elu", relu)
    with pytest.raises(RuntimeError, match=r"m.onnx is not written: .*the network's outputs differ .* by \d"):
        mb.export(network(), tmp_path / "m.onnx")
    assert not [*tmp_path.iterdir()]


def test_a_decoder_that_disagrees_is_found(tmp_path, monkeypatch):
    detector = mb.to_inference(network())
    ours = checking._decoded

    def decoded(*arguments):
        rows = ours(*arguments)
        rows[3, 4] += 2e-5
        return rows

    monkeypatch.setattr(checking, "_decoded", decoded)
    with pytest.raises(
        RuntimeError, match="detections differ from those of Keras by 2e-05, expected at most 1e-05"
    ):
        mb.export(detector, tmp_path / "m.onnx")
    assert not [*tmp_path.iterdir()]


def test_weights_that_are_no_numbers_disagree(tmp_path):
    model = network()
    model.get_layer("conv1").kernel.assign(np.full(model.get_layer("conv1").kernel.shape, np.nan))
    with pytest.raises(RuntimeError, match="by nan"):
        mb.export(model, tmp_path / "m.onnx")


ROWS = np.array([[1, 0.9, 0, 0, 1, 1], [2, 0.5, 0, 0, 0.5, 0.5], [0, 0, 0, 0, 0, 0]], np.float32)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({}, 0.0),
        ({(0, 1): 0.8}, 0.1),
        ({(1, 5): 0.75}, 0.25),
        ({(1, 0): 3}, np.inf),  # another class
        ({(1, 1): 0.04}, 0.46),
    ],
)
def test_differences_of_rows(change, difference):
    found = ROWS.copy()
    for place, value in change.items():
        found[place] = value
    assert checking.largest_difference(ROWS, found) == pytest.approx(difference, abs=1e-6)
    assert checking.largest_difference(found, ROWS) == pytest.approx(difference, abs=1e-6)


def test_the_end_of_a_full_list_is_not_compared():
    """Which of the equal rows comes last is a matter of rounding."""
    found = ROWS[:2].copy()
    found[1, 0] = 3
    assert checking.largest_difference(ROWS[:2], found) == 0


def test_what_cannot_be_exported(tmp_path):
    path = tmp_path / "m.onnx"
    with pytest.raises(
        ValueError, match=r"path must end with .onnx \(onnx\), .*, unless format is given; .* got .*m.txt"
    ):
        mb.export(network(), tmp_path / "m.txt")
    with pytest.raises(ValueError, match="has 0 MultiBox layers"):
        mb.export(keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), path)
    with pytest.raises(FileNotFoundError, match=r"export: no such model: nothing.keras"):
        mb.export("nothing.keras", path)
    image = keras.Input((*SIZE, 3))
    twice = keras.layers.Rescaling(2.0, name="twice")
    with pytest.raises(ValueError, match="model 'outer' adds the layer 'twice' to the model 'ssd7'"):
        mb.export(keras.Model(image, network()(twice(image)), name="outer"), path)
    model = network()
    model.get_layer("elu1").activation = keras.activations.tanh
    with pytest.raises(ValueError, match=r"the layer 'elu1' .* its activation 'tanh' is not supported"):
        mb.export(model, path)
    assert not [*tmp_path.iterdir()]


def test_a_file_is_replaced_only_if_asked(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"m.onnx exists already"):
        mb.export(network(), path)
    assert path.read_text() == "mine"
    mb.export(network(), path, overwrite=True)
    assert run(path, pictures()).any()


def test_a_full_disk_leaves_no_file(tmp_path, monkeypatch):
    def full(self, content):
        self.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*m.onnx'"):
        mb.export(network(), tmp_path / "m.onnx")
    assert not [*tmp_path.iterdir()]


def test_a_missing_package_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr("multibox.eval_utils.packages.find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError, match=r"export: needs the package onnx, .* extra onnx of multibox$"
    ):
        mb.export(network(), tmp_path / "m.onnx")
