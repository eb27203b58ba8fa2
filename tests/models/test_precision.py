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


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setattr(precision, "_on_accelerator", lambda: None)


def mobilenet(**options):
    """A small network of dense and depthwise convolutions, whose BatchNorms have random statistics."""
    keras.utils.set_random_seed(0)
    model = mb.SSDMobileNet(alpha=0.25, image_size=(64, 64), **(options or {"num_classes": 3}))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            # gamma, beta, moving mean, moving variance
            bounds = ((0.5, 1.5), (-0.5, 0.5), (-0.5, 0.5), (0.5, 1.5))
            layer.set_weights([rng.uniform(*bound, layer.gamma.shape) for bound in bounds])
    return model


def squares(count=2):
    return np.random.default_rng(1).integers(0, 256, (count, 64, 64, 3), np.uint8)


# Strided convolutions on a map of one cell. 64 pixels are two cells, and one after the first extra layer.
ON_ONE_CELL = ["extra2_expand", "extra3_expand", "extra4_expand"]


def computing(model):
    """{type of computation: classes of the layers that compute in it}, without those of `ON_ONE_CELL`."""
    kinds = {}
    for layer in (layer for layer in model.layers[1:] if layer.name not in ON_ONE_CELL):  # after the input
        kinds.setdefault(layer.compute_dtype, set()).add(type(layer).__name__)
    return kinds


def test_only_dense_layers_are_bfloat16_on_a_cpu(cpu, tmp_path):
    model = mobilenet()
    copy = cast_model(model, "mixed_bfloat16")
    float32 = {"Activation", "BatchNormalization", "DepthwiseConv2D", "ImageNormalization", "MultiBox"}
    assert computing(copy) == {"bfloat16": {"Conv2D"}, "float32": float32}
    assert [copy.get_layer(name).compute_dtype for name in ON_ONE_CELL] == ["float32"] * 3
    assert {weight.dtype for weight in copy.weights} == {"float32"}

    copy.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert computing(again) == computing(copy)
    expected = copy.predict_on_batch(squares())
    np.testing.assert_array_equal(again.predict_on_batch(squares()), expected)

    plain = model.predict_on_batch(squares())
    np.testing.assert_array_equal(cast_model(again, "float32").predict_on_batch(squares()), plain)
    assert not np.array_equal(expected, plain)
    set_precision(model, "mixed_bfloat16", "test")
    assert computing(model) == computing(copy)
    np.testing.assert_array_equal(model.predict_on_batch(squares()), expected)


def test_every_layer_is_bfloat16_on_a_gpu(gpu):
    assert computing(cast_model(mobilenet(), "mixed_bfloat16"))["float32"] == {"MultiBox"}


def test_dense_layers_by_kind(cpu):
    """Groups and `SeparableConv2D` are depthwise, `Dense` and transposed convolutions are not."""
    layers = keras.layers
    of_kind = {
        "first": layers.Conv2D(8, 3, padding="same"),
        "grouped": layers.Conv2D(8, 1, groups=2),
        "separable": layers.SeparableConv2D(8, 3, padding="same"),
        "scaled": layers.GroupNormalization(2),
        "products": layers.Dense(8),
        "transposed": layers.Conv2DTranspose(8, 2, 2, padding="same"),
        "shrinking": layers.Conv2D(8, 2, 64),
    }

    def backbone(x):
        for layer in of_kind.values():
            x = layer(x)
        return {"map": x}

    model = mb.SSD(backbone, 3, image_size=(64, 64), extras=())
    copy = cast_model(model, "mixed_bfloat16")
    found = {name: copy.get_layer(layer.name).compute_dtype for name, layer in of_kind.items()}
    assert {name for name, kind in found.items() if kind == "float32"} == {"grouped", "separable", "scaled"}


def test_dense_layers_alone_are_closer_to_float32(monkeypatch):
    """Their root mean square error is 0.92 (TensorFlow) and 0.73 (JAX) of that of bfloat16 in every layer."""
    model = mobilenet()
    exact = model.predict_on_batch(squares(8))
    errors = []
    for accelerator in (None, True):
        monkeypatch.setattr(precision, "_on_accelerator", lambda found=accelerator: found)
        copy = cast_model(model, "mixed_bfloat16")
        errors.append(np.sqrt(np.square(copy.predict_on_batch(squares(8)) - exact).mean()))
    dense, every = errors
    assert 0 < dense < 0.97 * every


def test_batch_norms_fold_into_layers_of_another_precision(cpu):
    model = cast_model(mobilenet(), "mixed_bfloat16")
    folded = mb.fold_batch_norm(model)
    assert "BatchNormalization" not in set.union(*computing(folded).values())
    assert computing(folded)["bfloat16"] == {"Conv2D"}
    expected = cast_model(model, "float32").predict_on_batch(squares())
    near = 0.02 * np.abs(expected).max()
    np.testing.assert_allclose(folded.predict_on_batch(squares()), expected, atol=near)
    exact = cast_model(folded, "float32").predict_on_batch(squares())
    np.testing.assert_allclose(exact, expected, atol=1e-3 * near)


def test_an_older_file_with_every_layer_in_bfloat16_trains(monkeypatch, tmp_path):
    data = mb.load_shapes(2, (64, 64), seed=0)
    monkeypatch.setattr(precision, "_on_accelerator", lambda: True)
    cast_model(mobilenet(class_names=data.class_names), "mixed_bfloat16").save(tmp_path / "m.keras")
    monkeypatch.setattr(precision, "_on_accelerator", lambda: None)
    model = keras.models.load_model(tmp_path / "m.keras")
    assert computing(model)["float32"] == {"MultiBox"}
    assert np.isfinite(model.predict_on_batch(squares())).all()
    before = model.get_weights()
    mb.train(model, data, tmp_path / "run", epochs=1, precision="mixed_bfloat16", verbose=0)
    assert computing(model)["bfloat16"] == {"Conv2D"}
    changed = [not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert np.mean(changed) > 0.9


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="an error of TensorFlow")
def test_strides_on_one_cell_have_gradients(cpu):
    """In bfloat16, TensorFlow 2.21 leaves outer taps of such a kernel as they were in memory."""
    import tensorflow as tf

    model = cast_model(mobilenet(), "mixed_bfloat16")
    kernels = [model.get_layer(name).kernel.value for name in ON_ONE_CELL]

    @tf.function
    def gradients(images):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(images, training=True)))
        return tape.gradient(loss, kernels)

    for _ in range(5):
        for gradient in gradients(tf.constant(squares())):
            outer = gradient.numpy()
            assert np.abs(outer[1, 1]).max() > 0
            outer[1, 1] = 0  # the only tap that meets the cell
            np.testing.assert_array_equal(outer, 0)


narrow, depthwise = partial(mb.SSD7, 3, image_size=SIZE), partial(mb.SSDLite, 3, image_size=(64, 64))


@pytest.mark.parametrize(
    ("build", "accelerator", "backend", "bfloat16", "expected"),
    [
        (narrow, True, "jax", False, "mixed_bfloat16"),
        (depthwise, True, "torch", False, "mixed_bfloat16"),
        (narrow, False, "tensorflow", True, "float32"),  # an older GPU
        (narrow, None, "tensorflow", True, "mixed_bfloat16"),
        (narrow, None, "tensorflow", False, "float32"),
        (narrow, None, "jax", True, "float32"),
        (depthwise, None, "tensorflow", True, "mixed_bfloat16"),
        (depthwise, None, "tensorflow", False, "float32"),
        (partial(narrow, mode="inference"), None, "tensorflow", True, "mixed_bfloat16"),
        (partial(depthwise, mode="inference"), None, "tensorflow", True, "float32"),
        (partial(depthwise, mode="inference"), True, "tensorflow", True, "mixed_bfloat16"),
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


def test_auto_is_judged_by_the_use(monkeypatch):
    """A model for training is cast, its detector is not."""
    monkeypatch.setattr(precision, "_cpu_has_bfloat16", lambda: True)
    model = depthwise()
    set_precision(model, "mixed_bfloat16", "test")
    with monkeypatch.context() as patch:
        patch.setattr(precision, "_on_accelerator", lambda: None)
        patch.setattr(keras.backend, "backend", lambda: "tensorflow")
        names = mb.fastest_precision(model), mb.fastest_precision(mb.to_inference(model))
    assert names == ("mixed_bfloat16", "float32")


def test_this_device():
    assert precision._on_accelerator() in (None, True, False)


def test_a_backbone_that_counts(cpu):
    """As EfficientNetB0: its Normalization has a whole number among its weights."""
    image = keras.Input((32, 48, 3))
    x = keras.layers.Normalization()(image)
    backbone = keras.Model(image, keras.layers.Conv2D(4, 3, 16, padding="same", name="conv")(x))
    model = mb.SSD(backbone, 2, sources=(16,), extras=())
    assert {weight.dtype for weight in model.weights} & {"int32", "int64"}
    set_precision(model, "mixed_bfloat16", "train")
    assert model.get_layer("conv").compute_dtype == "bfloat16"


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
