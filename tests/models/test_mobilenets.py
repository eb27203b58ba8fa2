"""SSDMobileNet and the MobileNetV2 backbone of SSDLite."""

from functools import partial

import keras
import numpy as np
import pytest
from targets import target

import multibox as mb
from multibox.anchors import ssd_mobilenet_anchors

SMALL = ssd_mobilenet_anchors((64, 96))


def small(num_classes=3, **options):
    return mb.SSDMobileNet(num_classes, **{"alpha": 0.25, "anchors": SMALL, **options})


def pixels(size, count=1):
    return np.random.default_rng(0).integers(0, 256, (count, *size, 3), np.uint8)


def outputs(model, names, images):
    return keras.Model(model.inputs, [model.get_layer(n).output for n in names]).predict(images, verbose=0)


def randomised(model):
    """Gives a model weights that show where one is missing or in the wrong place; variances stay positive."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        spread = (2 / np.prod(weight.shape[:-1])) ** 0.5 if len(weight.shape) == 4 else 0.1
        value = spread * rng.standard_normal(weight.shape)
        weight.assign(np.abs(1 + value) if weight.name in ("gamma", "moving_variance") else value)
    return model


# Sizes that are even down to the source, where the padding of both is the same also in MobileNet v1.
BACKBONES = {
    "v1": (
        keras.applications.MobileNet,
        partial(mb.SSDMobileNet, anchors=ssd_mobilenet_anchors((224, 224))),
        {"conv_pw_11_relu": "conv_pw_11_activation", "conv_pw_13_relu": "conv_pw_13_activation"},
    ),
    "v2": (
        keras.applications.MobileNetV2,
        partial(mb.SSDLite, backbone="mobilenet_v2"),
        {"block_13_expand_relu": "block_13_expand_activation", "out_relu": "Conv_1_activation"},
    ),
}


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("name", BACKBONES)
def test_the_backbone_is_that_of_keras_applications_and_loads_by_name(name, alpha):
    build, detector, layers = BACKBONES[name]
    model = detector(2, alpha=alpha)
    size = mb.anchors_of(model).image_size
    reference = randomised(build(input_shape=(*size, 3), alpha=alpha, weights=None, include_top=False))
    for layer in reference.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    images = pixels(size)
    expected = outputs(reference, layers.keys(), images / np.float32(127.5) - 1)
    for ours, theirs in zip(outputs(model, layers.values(), images), expected, strict=True):
        assert 0.1 < np.mean(theirs > 0) < 0.9
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_ssdlite_on_mobilenet_v2_differs_in_the_backbone_alone():
    ours, other = mb.SSDLite(2, backbone="mobilenet_v2"), mb.SSDLite(2)
    assert (ours.name, other.name) == ("ssdlite_mobilenet_v2", "ssdlite")
    assert ours.output_shape == other.output_shape
    assert mb.anchors_of(ours) == mb.anchors_of(other)

    def after_the_backbone(model):
        return {x.name for x in model.layers if x.name.startswith(("c4_", "c5_", "extra"))}

    assert after_the_backbone(ours) == after_the_backbone(other)


def test_the_finest_heads_see_the_expansion_of_block_13():
    model = mb.SSDLite(2, backbone="mobilenet_v2", alpha=0.5)
    source = model.get_layer("block_13_expand_activation").output
    assert source.shape == (None, 20, 20, 288)
    for kind in ("loc", "conf"):
        assert model.get_layer(f"c4_mbox_{kind}_depthwise").input is source


@pytest.mark.parametrize(
    ("head", "separable_extras", "kernels"),
    [
        ("pointwise", False, {"extra2_expand": (3, 3), "c4_mbox_loc": (1, 1)}),
        ("conv", True, {"extra2_depthwise": (3, 3), "extra2_expand": (1, 1), "c4_mbox_loc": (3, 3)}),
        (
            "separable",
            True,
            {"extra2_depthwise": (3, 3), "c4_mbox_loc_depthwise": (3, 3), "c5_mbox_conf": (1, 1)},
        ),
    ],
)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_heads_and_extra_layers_of_ssd_mobilenet(head, separable_extras, kernels, batch_norm):
    options = {"head": head, "separable_extras": separable_extras, "batch_norm": batch_norm}
    model = small(backbone="mobilenet_v2", **options)
    names = {layer.name for layer in model.layers}
    assert {name: model.get_layer(name).kernel_size for name in kernels} == kernels
    assert ("extra2_depthwise" in names, "c4_mbox_loc_depthwise" in names) == (
        separable_extras,
        head == "separable",
    )
    assert ("extra2_expand_bn" in names) == ("bn_Conv1" in names) == batch_norm
    x = pixels(SMALL.image_size, 2)
    outputs = model.predict(x, verbose=0)
    assert outputs.shape == (2, SMALL.num_anchors, 4 + 1 + 3) and np.isfinite(outputs).all()
    assert outputs.std() > 0.01  # the signal reaches the heads


def test_unknown_backbone():
    with pytest.raises(ValueError, match=r"backbone must be .*, got str 'vgg16'"):
        mb.SSDLite(2, backbone="vgg16")


@pytest.mark.parametrize(
    ("alpha", "widths"),
    [
        (1.0, {"conv1": 32, "conv_pw_13": 1024, "extra1": (256, 512), "extra4": (64, 128)}),
        (0.75, {"conv1": 24, "conv_pw_13": 768, "extra1": (192, 384), "extra4": (48, 96)}),
        (0.1, {"conv1": 16, "conv_pw_13": 102, "extra1": (25, 51), "extra4": (16, 16)}),
    ],
)
def test_widths(alpha, widths):
    model = small(alpha=alpha)
    for name, width in widths.items():
        names = (f"{name}_reduce", f"{name}_expand") if isinstance(width, tuple) else (name,)
        found = tuple(model.get_layer(n).filters for n in names)
        assert found == (width if isinstance(width, tuple) else (width,))


def test_convolutions_have_a_batch_norm_or_a_bias():
    for batch_norm in (True, False):
        model = small(batch_norm=batch_norm)
        norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
        convolutions = [x for x in model.layers if hasattr(x, "use_bias") and "_mbox_" not in x.name]
        assert len(convolutions) == 35
        assert len(norms) == (35 if batch_norm else 0)
        assert {x.use_bias for x in convolutions} == {not batch_norm}


@pytest.mark.parametrize(("activation", "score"), [("sigmoid", 0.01), ("softmax", 0.5)])
def test_class_heads_start_where_objects_are_rare_if_each_class_is_judged_alone(activation, score):
    model = small(activation=activation)
    for source in ("conv_pw_11", "extra4"):
        bias = model.get_layer(f"{source}_mbox_conf").get_weights()[1]
        np.testing.assert_allclose(1 / (1 + np.exp(-bias)), score, rtol=1e-3)
        assert not model.get_layer(f"{source}_mbox_loc").get_weights()[1].any()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_activation_reaches_the_detector_and_survives_saving(tmp_path, activation):
    model = small(activation=activation, mode="inference", max_detections=7)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    for detector in (model, reloaded, mb.to_inference(reloaded)):
        assert mb.activation_of(detector) == activation
        assert detector.get_layer("detections").activation == activation
    images = pixels((64, 96))
    np.testing.assert_allclose(
        reloaded.predict(images, verbose=0), model.predict(images, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_the_default_is_sigmoid_elsewhere_softmax():
    assert mb.activation_of(small()) == "sigmoid"
    assert mb.activation_of(mb.SSD7(2, image_size=(64, 96))) == "softmax"
    with pytest.raises(TypeError, match="unknown arguments activation"):
        mb.SSD7(2, activation="sigmoid")


@pytest.mark.parametrize(("activation", "batch_norm"), [("sigmoid", True), ("softmax", False)])
def test_a_few_steps_lower_the_loss(activation, batch_norm):
    keras.utils.set_random_seed(0)
    model = small(activation=activation, batch_norm=batch_norm, weight_decay=0)
    model.compile(keras.optimizers.Adam(1e-3), loss=mb.loss_of(model))
    images = pixels((64, 96), 4)
    rows = target(SMALL.num_anchors, 4, {3: (2, [0.5, -0.5, 0.2, 0.1]), 20: (1, [0.1] * 4)})
    targets = np.stack([rows] * 4)
    losses = model.fit(images, targets, batch_size=4, epochs=6, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "ssd_mobilenet: alpha must be above 0, got 0"),
        ({"min_depth": 0}, "min_depth must be at least 1, got 0"),
        ({"activation": "relu"}, "activation must be .*, got str 'relu'"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)
