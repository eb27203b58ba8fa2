import keras
import numpy as np
import pytest
from layer_contract import DECODING_OPTIONS

import multibox as mb
from multibox.anchors import SSD300_COCO, SSD300_VOC, SSD512_COCO, SSDLITE320, AnchorSpec

MODELS = {
    "ssd300": mb.SSD300,
    "ssd512": mb.SSD512,
    "ssdlite": mb.SSDLite,
    "ssd_mobilenet": mb.SSDMobileNet,
    "ssd7": mb.SSD7,
}


def images(model, count=2):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, *mb.anchors_of(model).image_size, 3), np.uint8)


def small(num_classes=3, **options):
    return mb.SSD7(num_classes, **{"image_size": (64, 96), **options})


@pytest.mark.parametrize(
    ("build", "num_classes", "parameters", "anchors"),
    [
        (mb.SSD300, 20, 26_285_486, 8732),
        (mb.SSD300, 90, 35_641_826, 8732),
        (mb.SSD512, 20, 27_188_676, 24564),
        (mb.SSDLite, 90, 3_440_060, 3234),
    ],
)
def test_parameters_and_output(build, num_classes, parameters, anchors):
    model = build(num_classes)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == parameters
    assert model.output_shape == (None, anchors, 5 + num_classes)
    assert type(model) is keras.Model or type(model).__name__ == "Functional"


@pytest.mark.parametrize("size", [(64, 96), (65, 130), (300, 300), (127, 33)])
def test_ssd7_takes_any_size(size):
    model = mb.SSD7(2, image_size=size)
    assert model.input_shape == (None, *size, 3)
    assert model.predict(images(model), verbose=0).shape == (2, mb.anchors_of(model).num_anchors, 7)


@pytest.mark.parametrize("size", [(480, 640), (333, 500)])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_makes_the_anchors_of_its_size(name, size):
    """The model checks its feature maps against the anchors when it is built."""
    model = MODELS[name](2, image_size=size)
    assert model.input_shape == (None, *size, 3)
    assert mb.anchors_of(model) == mb.networks.named_anchors(f"{name}:{size[0]}x{size[1]}")
    assert model.output_shape == (None, mb.anchors_of(model).num_anchors, 7)
    keras.backend.clear_session()


def test_a_saved_model_of_another_size_keeps_it(tmp_path):
    model = mb.SSDLite(2, image_size=(65, 96), alpha=0.25)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.input_shape == (None, 65, 96, 3)
    assert mb.anchors_of(again) == mb.anchors_of(model) == mb.anchors.ssdlite_anchors((65, 96))
    np.testing.assert_array_equal(
        again.predict(images(model), verbose=0), model.predict(images(model), verbose=0)
    )


@pytest.mark.parametrize("build", [mb.SSD300, mb.SSD512])
def test_sizes_that_are_too_small_for_the_network(build):
    with pytest.raises(ValueError, match="each side must have at least 257 pixels, got 200x300"):
        build(2, image_size=(200, 300))


def test_layer_names_of_the_keras_port():
    names = {layer.name for layer in mb.SSD512(20).layers}
    blocks = [f"conv{b}_{i}" for b, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)]
    extras = [f"conv{b}_{i}" for b in (6, 7, 8, 9, 10) for i in (1, 2)]
    sources = ["conv4_3_norm", "fc7", "conv6_2", "conv7_2", "conv8_2", "conv9_2", "conv10_2"]
    heads = [f"{s}_mbox_{kind}" for s in sources for kind in ("loc", "conf")]
    assert {*blocks, *extras, *heads, "fc6", "fc7", "conv4_3_norm"} <= names


def test_uint8_and_float_images_are_the_same():
    model = small()
    x = images(model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), model.predict(x.astype("float32"), verbose=0))


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_knows_its_anchors_and_predicts_the_same(tmp_path, name):
    model = small() if name == "ssd7" else MODELS[name](3)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    assert mb.anchors_of(reloaded) == mb.anchors_of(model)
    if name in ("ssd7", "ssdlite", "ssd_mobilenet"):  # the large ones differ in nothing but size
        x = images(model, 1)
        for a, b in ((model, reloaded), (mb.to_inference(model), mb.to_inference(reloaded))):
            np.testing.assert_allclose(a.predict(x, verbose=0), b.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_saved_detector_predicts_the_same_and_can_be_decoded_anew(tmp_path):
    detector = small(mode="inference", confidence_threshold=0.2, max_detections=9)
    detector.save(tmp_path / "detector.keras")
    reloaded = keras.models.load_model(tmp_path / "detector.keras")
    x = images(detector)
    found = reloaded.predict(x, verbose=0)
    assert found.shape == (2, 9, 6)
    np.testing.assert_allclose(found, detector.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    assert mb.to_inference(reloaded, max_detections=5).output_shape == (None, 5, 6)


@pytest.mark.parametrize(("source", "target"), [("training", "inference"), ("inference", "training")])
def test_weights_fit_both_modes(tmp_path, source, target):
    first, second = small(mode=source), small(mode=target)
    path = str(tmp_path / "model.weights.h5")
    first.save_weights(path)
    x = images(first)
    second.load_weights(path)
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    third = small(mode=target, weights=path)
    np.testing.assert_array_equal(second.predict(x, verbose=0), third.predict(x, verbose=0))


def test_detections_are_rows_of_class_score_and_box():
    found = small(mode="inference").predict(images(small()), verbose=0)
    assert found.shape == (2, 200, 6)
    rows = found[found[..., 1] > 0]
    assert set(rows[:, 0]) <= {1, 2, 3}
    assert (rows[:, 1] > 0.01).all()
    assert (np.diff(found[..., 1], axis=1) <= 0).all()
    assert not found[found[..., 1] == 0].any()


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        model = small()
        detector = mb.to_inference(model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.get_layer("conv4").compute_dtype == policy.removeprefix("mixed_")
    for m in (model, detector):
        output = m.predict(images(model), verbose=0)
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
    full = small()
    full.set_weights(model.get_weights())
    reference = full.predict(images(model), verbose=0)
    assert np.abs(model.predict(images(model), verbose=0) - reference).max() < 0.1 * np.abs(reference).max()


def test_weight_decay_is_half_an_l2():
    model = small(weight_decay=0.02)
    kernels = [layer.kernel for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    expected = sum(0.01 * np.sum(np.square(keras.ops.convert_to_numpy(k))) for k in kernels)
    total = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    np.testing.assert_allclose(total, expected, rtol=1e-4)
    assert small(weight_decay=0).losses == []


@pytest.mark.parametrize("build", [mb.SSD300, mb.SSDLite, mb.SSDMobileNet])
def test_weight_decay_reaches_every_kernel(build):
    model = build(2, weight_decay=0.02)
    kernels = [w for w in model.trainable_weights if len(w.shape) == 4]
    assert len(model.losses) == len(kernels)
    expected = sum(0.01 * np.square(keras.ops.convert_to_numpy(k)).sum() for k in kernels)
    total = sum(float(keras.ops.convert_to_numpy(x)) for x in model.losses)
    assert total == pytest.approx(expected, rel=1e-4)


def test_caffe_initializer_of_ssd300():
    model = mb.SSD300(2)
    for name in ("conv1_1", "conv6_2", "conv4_3_norm_mbox_conf"):
        kernel = model.get_layer(name).get_weights()[0]
        assert np.abs(kernel).max() == pytest.approx((3 / np.prod(kernel.shape[:3])) ** 0.5, rel=0.02)


def test_torchvision_initializers_and_batch_normalization_of_ssdlite():
    model = mb.SSDLite(3)

    def std(name):
        kernel = model.get_layer(name).get_weights()[0]
        return float(kernel.std()), kernel.shape

    value, shape = std("block15_depthwise")  # torch's fan_out: channels * 5 * 5
    assert value == pytest.approx((2 / np.prod(shape[:3])) ** 0.5, rel=0.05)
    value, shape = std("block15_expand")
    assert value == pytest.approx((2 / shape[3]) ** 0.5, rel=0.05)
    for name in ("extra1_expand", "extra1_depthwise", "c5_mbox_loc"):
        assert std(name)[0] == pytest.approx(0.03, rel=0.05)
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {(x.momentum, x.epsilon) for x in norms} == {(0.97, 1e-3)}


def test_statistics_of_ssd7_keep_up_with_short_trainings():
    assert small().get_layer("bn1").momentum == 0.9


def test_to_inference_passes_every_option_on():
    detector = mb.to_inference(small(), **DECODING_OPTIONS)
    assert DECODING_OPTIONS.items() <= detector.get_layer("detections").get_config().items()


def test_a_detector_predicts_where_keras_is_asked_to_compile_it():
    detector = small(mode="inference")
    detector.compile(jit_compile=True)  # Keras falls back, with a warning, where a layer forbids it
    assert detector.predict(images(detector), verbose=0).shape == (2, 200, 6)


def test_ssdlite_width_and_min_depth():
    model = mb.SSDLite(3, alpha=0.5, min_depth=100)
    assert model.get_layer("extra1_expand").filters == 256
    assert model.get_layer("extra4_expand").filters == 100
    assert model.get_layer("stem").filters == 8
    assert model.get_layer("extra1_reduce").filters == 128


@pytest.mark.parametrize(
    ("spec", "build"), [(SSD300_COCO, mb.SSD300), (SSD512_COCO, mb.SSD512), (SSDLITE320, mb.SSDLite)]
)
def test_other_anchors_of_the_same_grid(spec, build):
    assert mb.anchors_of(build(2, anchors=spec)) == spec


def test_anchors_that_do_not_fit():
    with pytest.raises(ValueError, match="spec has 6 levels, the model 7 feature maps"):
        mb.SSD512(2, anchors=SSD300_VOC)
    other = AnchorSpec.from_scales((64, 96), [(8, 12), (4, 6), (3, 3), (1, 2)], (0.1,) * 5, [(2,)] * 4)
    with pytest.raises(ValueError, match=r"map conv6 has 2x3 cells, but its level of the anchors 3x3"):
        mb.SSD7(2, anchors=other)


@pytest.mark.parametrize("build", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes must be at least 1"),
        ({"num_classes": 2, "mode": "predict"}, "mode must be .* got str 'predict'"),
        ({"num_classes": 2, "max_detections": 5}, "max_detections only apply to mode"),
    ],
)
def test_impossible_options(build, options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_unknown_arguments_are_named():
    with pytest.raises(TypeError, match="ssd7: unknown arguments image_shape"):
        mb.SSD7(3, image_shape=(64, 96))


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r'set_image_data_format."channels_last"'):
            small()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_size_and_anchors_that_disagree():
    anchors = mb.anchors.ssd7_anchors((64, 96))
    assert mb.SSD7(2, anchors=anchors).input_shape == (None, 64, 96, 3)
    with pytest.raises(ValueError, match=r"image_size is \(96, 64\), but the anchors are for \(64, 96\)"):
        mb.SSD7(2, image_size=(96, 64), anchors=anchors)


@pytest.mark.parametrize("size", [300, (300,)])
def test_sizes_that_are_no_pairs(size):
    with pytest.raises(
        TypeError, match="SSD7: image_size must be 2 values, each a whole number or None, got"
    ):
        mb.SSD7(2, image_size=size)


def test_impossible_sizes():
    with pytest.raises(ValueError, match=r"image_size: got \(0, 300\), each side must be at least 1"):
        mb.SSD7(2, image_size=(0, 300))


def test_a_missing_weight_file_is_named():
    with pytest.raises(FileNotFoundError, match="ssd7: no weight file runs/none"):
        small(weights="runs/none.weights.h5")


def test_impossible_widths():
    with pytest.raises(ValueError, match="ssdlite: alpha must be above 0, got 0"):
        mb.SSDLite(2, alpha=0)
    with pytest.raises(ValueError, match="min_depth must be at least 1, got 0"):
        mb.SSDLite(2, min_depth=0)


def test_anchors_of_another_model():
    image = keras.Input((8,))
    with pytest.raises(ValueError, match="0 MultiBox layers, expected one"):
        mb.anchors_of(keras.Model(image, keras.layers.Dense(1)(image)))


def test_weights_of_another_number_of_classes(tmp_path):
    path = str(tmp_path / "a.weights.h5")
    small(3).save_weights(path)
    with pytest.raises(ValueError, match="shape"):
        small(4, weights=path)


@pytest.mark.parametrize("name", MODELS)
def test_every_network_carries_class_names(name):
    options = {"image_size": (64, 96)} if name == "ssd7" else {}
    model = MODELS[name](class_names=("cat", "dog"), **options)
    assert mb.num_classes_of(model) == 2
    assert mb.class_names_of(model) == ("cat", "dog")
    assert mb.class_names_of(mb.to_inference(model)) == ("cat", "dog")


def test_a_saved_model_knows_its_class_names(tmp_path):
    model = small(2, class_names=("cat", "dog"))
    for saved in (model, mb.to_inference(model)):
        saved.save(tmp_path / "model.keras")
        assert mb.class_names_of(keras.models.load_model(tmp_path / "model.keras")) == ("cat", "dog")
    assert mb.class_names_of(small(2)) is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, TypeError, "ssd7: expected num_classes or class_names"),
        ({"num_classes": ("a", "b")}, TypeError, "got tuple .*; is it meant for class_names"),
        ({"num_classes": 2.0}, TypeError, "num_classes must be a whole number or None, got float 2.0"),
        ({"num_classes": 3, "class_names": ("a", "b")}, ValueError, "expected 3 names, .* got 2"),
        ({"class_names": "ab"}, TypeError, "class_names must be a sequence"),
        ({"class_names": ("a", "a")}, ValueError, "'a' occurs more than once"),
        ({"num_classes": 2, "size": 3}, TypeError, "unknown arguments size; .* confidence_threshold"),
    ],
)
def test_classes_that_make_no_sense(arguments, error, message):
    with pytest.raises(error, match=message):
        mb.SSD7(image_size=(64, 96), **arguments)
