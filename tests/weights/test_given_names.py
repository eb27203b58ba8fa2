"""`load_weights(names=...)`: arrays of a file in the layers that the caller names."""

import keras
import numpy as np
import pytest
from foreign_files import tflite, write_caffemodel, write_onnx, write_pth
from keras import layers

import multibox as mb

RNG = np.random.default_rng(0)


def numbers(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    """One layer of each kind."""
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(5, (2, 3), use_bias=False, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D((2, 3), padding="same", name="deep")(x)
    x = layers.Conv2DTranspose(7, (2, 3), padding="same", name="up")(x)
    x = layers.Dense(6, name="dense")(layers.Flatten()(x))
    return keras.Model(image, x, name="small")


STATE = {
    "body.0.weight": numbers(5, 3, 2, 3),
    "body.1.weight": numbers(5),
    "body.1.bias": numbers(5),
    "body.1.running_mean": numbers(5),
    "body.1.running_var": numbers(5),
    "body.1.num_batches_tracked": np.zeros(1, np.float32),
    "body.2.weight": numbers(5, 1, 2, 3),
    "body.2.bias": numbers(5),
    "body.3.weight": numbers(5, 7, 2, 3),
    "body.3.bias": numbers(7),
    "top.weight": numbers(6, 4 * 4 * 7),
    "top.bias": numbers(6),
    "other": numbers(2),
}
NAMES = {"conv": "body.0", "norm": "body.1", "deep": "body.2", "up": "body.3", "dense": "top"}


def weights(model):
    return {f"{layer.name}/{v.name}": np.array(v) for layer in model.layers for v in layer.weights}


@pytest.mark.parametrize("write", [write_pth, write_onnx])
@pytest.mark.parametrize("names", [NAMES, NAMES.get])
def test_modules_of_torch(tmp_path, model, write, names):
    report = mb.load_weights(model, write(tmp_path / "x", STATE), names=names)
    found = weights(model)
    # Element by element: out, in, row, column.
    assert found["conv/kernel"][1, 2, 0, 4] == STATE["body.0.weight"][4, 0, 1, 2]
    assert found["deep/kernel"][1, 2, 3, 0] == STATE["body.2.weight"][3, 0, 1, 2]
    assert found["up/kernel"][1, 2, 6, 4] == STATE["body.3.weight"][4, 6, 1, 2]
    assert found["dense/kernel"][9, 5] == STATE["top.weight"][5, 9]
    pairs = [("gamma", "weight"), ("beta", "bias")]
    for ours, theirs in (*pairs, ("moving_mean", "running_mean"), ("moving_variance", "running_var")):
        np.testing.assert_array_equal(found[f"norm/{ours}"], STATE[f"body.1.{theirs}"])
    assert set(report.loaded) == set(NAMES) and not report.left
    assert report.skipped == {"body.1.num_batches_tracked": "not in names", "other": "not in names"}


def test_the_function_is_that_of_the_file(tmp_path):
    """A transposed convolution puts the kernel at the position of the pixel, in torch and in Keras."""
    image = keras.Input((2, 2, 1))
    model = keras.Model(image, layers.Conv2DTranspose(1, 2, 2, use_bias=False, name="up")(image))
    kernel = np.array([[[[1, 2], [3, 4]]]], np.float32)
    mb.load_weights(model, write_pth(tmp_path / "x", {"up.weight": kernel}), names={"up": "up"})
    x = np.zeros((1, 2, 2, 1), np.float32)
    x[0, 0, 1] = 10
    assert np.array(model(x))[0, :, :, 0].tolist() == [[0, 0, 10, 20], [0, 0, 30, 40], [0] * 4, [0] * 4]


def test_layers_of_caffe(tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Conv2D(5, (2, 3), name="conv")(image))
    kernel, bias = numbers(5, 3, 2, 3), numbers(5)
    mb.load_weights(model, write_caffemodel(tmp_path / "x", {"245": [kernel, bias]}), names={"conv": "245"})
    np.testing.assert_array_equal(weights(model)["conv/kernel"], kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(weights(model)["conv/bias"], bias)


def test_arrays_of_tensorflow_lite_and_own_ones(tmp_path):
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(2, (1, 3), name="conv")(image)
    model = keras.Model(image, layers.DepthwiseConv2D((1, 3), padding="same", use_bias=False, name="deep")(x))
    conv, deep = np.arange(18, dtype=np.float32), np.arange(6, dtype=np.float32)
    path = tmp_path / "x"
    path.write_bytes(tflite(shape=(2, 1, 3, 3), data=conv.tobytes()))
    bias, ours = np.array([3, 4], np.float32), deep.reshape(1, 3, 2, 1)
    mb.load_weights(model, path, names={"conv": ["kernel", bias], "deep": [ours]})
    assert weights(model)["conv/kernel"][0, 2, 1, 1] == conv.reshape(2, 1, 3, 3)[1, 0, 2, 1]
    np.testing.assert_array_equal(weights(model)["conv/bias"], bias)
    np.testing.assert_array_equal(weights(model)["deep/kernel"], ours)
    path.write_bytes(tflite(shape=(1, 1, 3, 2), data=deep.tobytes()))
    mb.load_weights(model, path, names={"deep": "kernel"}, layers=["deep"])
    assert weights(model)["deep/kernel"][0, 2, 1, 0] == deep.reshape(1, 1, 3, 2)[0, 0, 2, 1]


BAD = [
    ({"cnv": "body.0"}, "model 'small' has no layer 'cnv' with weights; did you mean 'conv'"),
    ({"norm": "body.1"}, "layer conv is not in names; layer deep is not in names; layer up is not in names;"),
    ({**NAMES, "conv": "body.9"}, "no array for kernel of the layer conv under 'body.9'; did you mean"),
    (
        {**NAMES, "norm": "body.2"},
        "no array for moving_mean of the layer norm under 'body.2'; it has body.2.",
    ),
    ({**NAMES, "conv": "body.2"}, "layer conv has no variable for 'body.2.bias'"),
    ({**NAMES, "conv": ["body.2.weight"]}, r"layer conv has the shapes \(2, 3, 1, 5\) in the file"),
    ({**NAMES, "dense": ["top.weight"]}, "layer dense has kernel, bias, but names has 1 for it"),
    (
        {**NAMES, "dense": ["top.weight", "top.bia"]},
        "no array 'top.bia' for the layer dense; did you mean 'top",
    ),
]


@pytest.mark.parametrize(("names", "words"), BAD)
def test_what_does_not_fit_is_refused(tmp_path, model, names, words):
    path, before = write_pth(tmp_path / "x", STATE), weights(model)
    with pytest.raises(ValueError, match=words) as error:
        mb.load_weights(model, path, names=names)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
    for name, array in weights(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_wrong_kinds(tmp_path, model):
    path = write_pth(tmp_path / "x", STATE)
    with pytest.raises(
        TypeError, match="names: expected a name or a list of names for the layer conv, got 7"
    ):
        mb.load_weights(model, path, names={"conv": 7})
    with pytest.raises(ValueError, match="channel_order cannot be set with names"):
        mb.load_weights(model, path, names=NAMES, channel_order="bgr")
    with pytest.raises(FileNotFoundError, match="no weight file coco"):
        mb.load_weights(model, "coco", names=NAMES)


def test_a_part_of_the_model(tmp_path, model):
    report = mb.load_weights(model, write_pth(tmp_path / "x", STATE), names={"dense": "top"}, strict=False)
    assert report.loaded == {"dense": 6 * 112 + 6}
    assert report.left == dict.fromkeys(("conv", "norm", "deep", "up"), "not in names")
