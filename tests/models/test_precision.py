from functools import partial

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.models import precision
from multibox.models.precision import cast_model, set_precision

SIZE = (32, 64)


@pytest.fixture
def policy():
    """Sets the policy of Keras for one test."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def pictures():
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)


@pytest.mark.parametrize("mixed", ["mixed_bfloat16", "mixed_float16"])
def test_a_copy_computes_what_a_float32_model_does(policy, gpu, mixed):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(3, image_size=SIZE)
    policy(mixed)
    source = mb.SSD7(3, image_size=SIZE)
    source.set_weights(model.get_weights())
    source.get_layer("normalization").value_range = (0, 1023)
    source.compile("adam", "mse")
    copy = cast_model(source, "float32")
    assert {layer.compute_dtype for layer in copy.layers[1:]} == {"float32"}  # after the input
    expected, found = model.predict_on_batch(pictures()), copy.predict_on_batch(pictures())
    np.testing.assert_array_equal(found, expected)
    assert 1e-4 < np.abs(source.predict_on_batch(pictures()) - expected).max() < 0.2
    assert copy.get_layer("normalization").value_range == (0, 1023)
    assert not copy.compiled and copy.name == source.name
    assert source.get_layer("conv1").compute_dtype == mixed.removeprefix("mixed_")


def test_a_detector_decodes_in_float32_whatever_the_policy():
    copy = cast_model(mb.to_inference(mb.SSD7(3, image_size=SIZE), max_detections=7), "mixed_bfloat16")
    kinds = {layer.name: layer.compute_dtype for layer in copy.layers}
    assert kinds["conv1"] == "bfloat16"
    assert kinds["detections"] == kinds["anchors"] == "float32"
    assert copy.predict_on_batch(pictures()).shape == (2, 7, 6)


@pytest.mark.parametrize("mixed", ["mixed_bfloat16", "mixed_float16"])
def test_set_precision_is_cast_model_in_place(gpu, mixed):
    keras.utils.set_random_seed(0)
    model = mb.to_inference(mb.SSD7(3, image_size=SIZE), max_detections=7, confidence_threshold=0.0)
    copy = cast_model(model, mixed)
    set_precision(model, mixed, "test")
    assert [layer.dtype_policy.name for layer in model.layers[1:]] == [
        layer.dtype_policy.name for layer in copy.layers[1:]
    ]
    assert {weight.dtype for weight in model.weights} == {"float32"}
    np.testing.assert_array_equal(model(pictures()), copy(pictures()))


def test_training_in_another_precision(tmp_path):
    data = mb.load_shapes(4, SIZE, seed=0)
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    mb.train(model, data, tmp_path / "run", epochs=1, precision="mixed_bfloat16", verbose=0)
    assert model.get_layer("conv1").compute_dtype == "bfloat16"
    saved = keras.models.load_model(tmp_path / "run" / "last.keras")
    assert saved.get_layer("conv1").compute_dtype == "bfloat16"  # though Keras is set to float32
    assert cast_model(saved, "float32").get_layer("conv1").compute_dtype == "float32"
    plain = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    mb.load_weights(plain, tmp_path / "run" / "last.keras")
    for found, expected in zip(plain.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    detector = mb.to_inference(model, precision="float32")
    assert detector.get_layer("conv1").compute_dtype == "float32"
    assert mb.to_inference(model).get_layer("conv1") is model.get_layer("conv1")


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(precision, "_on_accelerator", lambda: True)


narrow, depthwise = partial(mb.SSD7, 3, image_size=SIZE), partial(mb.SSDLite, 3, image_size=(64, 64))


def wide():
    """A network with 256 channels."""
    return mb.SSD(lambda x: {"wide": keras.layers.Conv2D(256, 1, 32)(x)}, 3, image_size=(64, 64), extras=())


@pytest.mark.parametrize(
    ("build", "accelerator", "backend", "bfloat16", "expected"),
    [
        (wide, True, "jax", False, "mixed_bfloat16"),
        (depthwise, True, "torch", False, "mixed_bfloat16"),
        (wide, False, "tensorflow", True, "float32"),  # an older GPU
        (wide, None, "tensorflow", True, "mixed_bfloat16"),
        (wide, None, "tensorflow", False, "float32"),
        (narrow, None, "tensorflow", True, "float32"),
        (wide, None, "jax", True, "float32"),
        (depthwise, None, "tensorflow", True, "float32"),
    ],
)
def test_the_fastest(monkeypatch, build, accelerator, backend, bfloat16, expected):
    model = build()
    monkeypatch.setattr(precision, "_on_accelerator", lambda: accelerator)
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    assert mb.fastest_precision(model) == precision.chosen_precision(model, "auto", "test") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("flags : fpu amx_bf16 sse", True), ("flags : avx512_bf16", True), ("flags : avx512f amx_tile", False)],
)
def test_the_flags_of_a_cpu(tmp_path, text, expected):
    (tmp_path / "cpuinfo").write_text(text)
    assert precision._cpu_has_bfloat16(tmp_path / "cpuinfo") is expected
    assert not precision._cpu_has_bfloat16(tmp_path / "none")


def test_this_device():
    assert precision._on_accelerator() in (None, True, False)


def test_errors(monkeypatch):
    monkeypatch.setattr(precision, "_on_accelerator", lambda: None)
    model = mb.SSD7(3, image_size=SIZE)
    with pytest.raises(ValueError, match="cast_model: mixed_float16 needs a GPU"):
        cast_model(model, "mixed_float16")
    with pytest.raises(ValueError, match=r"precision must be .*got str 'bfloat8'"):
        cast_model(model, "bfloat8")
    with pytest.raises(ValueError, match="the weights of the model are bfloat16; cast_model makes one"):
        pure = keras.models.clone_model(
            model, clone_function=lambda x: type(x).from_config({**x.get_config(), "dtype": "bfloat16"})
        )
        set_precision(pure, "float32", "train")
