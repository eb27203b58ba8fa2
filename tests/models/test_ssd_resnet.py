"""SSD321, SSD513 and DSSD321: once as they are, and with a thin ResNet of one block in each stage."""

import importlib.util
from functools import partial

import keras
import numpy as np
import pytest
from keras.src.applications import resnet

import multibox as mb
from multibox.models import deconvolution, residual, ssd_resnet
from multibox.models.graph import calls_of
from multibox.models.unallocated import unallocated_weights
from multibox.profiling.counting import receptive_field

SIZE = (195, 230)  # the smallest height
GRIDS = [(25, 29), (13, 15), (7, 8), (4, 4), (2, 2), (1, 1)]
NETWORKS = (mb.SSD321, mb.DSSD321)


def thin_resnet(include_top, weights, input_shape):
    """ResNet-101 with one block in each stage, of 4 to 32 channels."""

    def stages(x):
        for i, filters in enumerate((4, 4, 8, 8)):
            x = resnet.stack_residual_blocks_v1(x, filters, 1, stride1=1 + (i > 0), name=f"conv{i + 2}")
        return x

    options = {"include_top": include_top, "weights": weights, "input_shape": input_shape}
    return resnet.ResNet(stages, preact=False, use_bias=True, name="resnet101", **options)


@pytest.fixture
def thin(monkeypatch):
    """The networks with few layers and channels."""
    monkeypatch.setattr(keras.applications, "ResNet101", thin_resnet)
    monkeypatch.setattr(residual, "SQUEEZE", 4)
    monkeypatch.setattr(residual, "PREDICTED", 8)
    monkeypatch.setattr(deconvolution, "CHANNELS", 8)
    for name, variant in ssd_resnet.VARIANTS.items():
        thin = variant._replace(extras=[8] * len(variant.extras))
        monkeypatch.setitem(ssd_resnet.VARIANTS, name, thin)
    keras.utils.set_random_seed(0)


def bottleneck(inputs, squeeze, kernel, outputs):
    """Parameters of a residual block: three convolutions, the shortcut, and BatchNorms of four numbers."""
    kernels = inputs * squeeze + kernel**2 * squeeze**2 + squeeze * outputs + inputs * outputs
    return kernels + 4 * (squeeze + squeeze + outputs + outputs)


def heads(inputs, classes):
    """Prediction module and 3x3 heads of eight anchors."""
    return bottleneck(inputs, 256, 1, 1024) + (9 * 1024 + 1) * 8 * (4 + 1 + classes)


def deconvolution_module(above, beside):
    """2x2 (3x3 from one cell) and 3x3 of what is above, two 3x3 of what is beside; three BatchNorms."""
    kernel = 9 if above == 1024 else 4
    return (kernel * above * 512 + 512) + 9 * 512 * (512 + beside + 512) + 3 * 4 * 512


RESNET101 = 42_658_176  # keras.applications, without the classifier
EXTRAS = bottleneck(2048, 256, 3, 1024), bottleneck(1024, 256, 3, 1024)


@pytest.mark.parametrize(
    ("build", "parameters", "computed"),
    [
        (
            mb.SSD321,
            74_268_208,
            RESNET101 + EXTRAS[0] + 3 * EXTRAS[1] + heads(512, 20) + heads(2048, 20) + 4 * heads(1024, 20),
        ),
        (
            mb.SSD513,
            79_933_176,
            RESNET101 + EXTRAS[0] + 4 * EXTRAS[1] + heads(512, 20) + heads(2048, 20) + 5 * heads(1024, 20),
        ),
        (
            mb.DSSD321,
            128_827_440,
            RESNET101
            + (EXTRAS[0] + 3 * EXTRAS[1])
            + (5 * heads(512, 20) + heads(1024, 20))
            + deconvolution_module(1024, 1024)
            + (2 * deconvolution_module(512, 1024))
            + (deconvolution_module(512, 2048) + deconvolution_module(512, 512)),
        ),
    ],
)
def test_parameters(build, parameters, computed):
    with unallocated_weights():
        assert build(20).count_params() == parameters == computed


@pytest.mark.parametrize(
    ("build", "sides", "anchors"),
    [
        (mb.SSD321, (40, 20, 10, 5, 3, 1), 17_080),
        (mb.DSSD321, (40, 20, 10, 5, 3, 1), 17_080),
        (mb.SSD513, (64, 32, 16, 8, 4, 2, 1), 43_688),
    ],
)
def test_grids_of_the_paper(thin, build, sides, anchors):
    """The paper's table of speeds has these numbers of anchors."""
    with unallocated_weights():
        model = build(20)
    assert [level.grid for level in mb.anchors_of(model).levels] == [(side, side) for side in sides]
    assert model.output_shape == (None, anchors, 25)
    ratios = sorted({round(w / h, 3) for w, h in mb.anchors_of(model).levels[0].sides})
    assert ratios == [0.333, 0.5, 0.625, 1, 1.6, 2, 3]


def test_the_fifth_stage_is_dilated():
    """Stride 16, and the field of the whole ResNet-101, which the dilation keeps."""
    with unallocated_weights():
        model = mb.SSD321(1, image_size=(224, 224))
        whole = keras.applications.ResNet101(include_top=False, weights=None, input_shape=(224, 224, 3))
    assert model.get_layer("conv4_block23_out").output.shape[1:3] == (14, 14)
    assert model.get_layer("conv5_block3_out").output.shape[1:3] == (14, 14)
    assert {model.get_layer(f"conv5_block{i}_2_conv").dilation_rate for i in (1, 2, 3)} == {(2, 2)}
    fields, expected = fields_of(model), fields_of(whole)
    assert fields["conv3_block4_out"] == expected["conv3_block4_out"] == (99, 8)
    assert expected["conv5_block3_out"] == (1027, 32)
    assert fields["conv5_block3_out"] == (1027, 16)


def fields_of(model):
    """{layer: (receptive field, stride)} in pixels of the rows."""
    known, fields = {}, {}
    for call in calls_of(model, "test"):
        field = receptive_field(call, [known.get(id(tensor)) for tensor in call.inputs])
        known.update((id(tensor), field) for tensor in call.outputs)
        fields[call.name] = field and (field[0].size, field[0].stride)
    return fields


def test_a_residual_layer_makes_one_cell_of_three():
    """With kernels of ones it sums the 3x3 cells; the shortcut reads the one in the middle."""
    x = keras.Input((3, 3, 4))
    block = keras.Model(x, residual.residual_extra(x, 8, "extra1", None))
    for layer in block.layers:
        if isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.ones(layer.kernel.shape) / np.prod(layer.kernel.shape[2]))
    cells = np.arange(9.0).reshape(1, 3, 3, 1) * np.ones(4)
    norm = (1 + 1e-3) ** -0.5
    expected = sum(range(9)) * norm**3 + 4 * norm
    np.testing.assert_allclose(block(cells), np.full((1, 1, 1, 8), expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("sides", "kernel", "cropped"),
    [((10, 10), (2, 2), None), ((9, 10), (2, 2), (9, 10)), ((11, 10), (3, 2), None)],
)
def test_a_deconvolution_fits_the_finer_map(sides, kernel, cropped):
    maps = {"a": keras.Input((*sides, 6)), "b": keras.Input((5, 5, 4))}
    with unallocated_weights():
        found = deconvolution.deconvolution(maps, None)
    assert {name: tensor.shape[1:] for name, tensor in found.items()} == {
        "deconv_a": (*sides, 512),
        "b": (5, 5, 4),
    }
    model = keras.Model(list(maps.values()), found["deconv_a"])
    assert model.get_layer("deconv_a_deconv").kernel_size == kernel
    crops = [layer.output.shape[1:3] for layer in model.layers if layer.name == "deconv_a_crop"]
    assert crops == ([] if cropped is None else [cropped])


def test_a_deconvolution_multiplies(monkeypatch):
    monkeypatch.setattr(deconvolution, "CHANNELS", 1)
    maps = {"a": keras.Input((2, 4, 1)), "b": keras.Input((1, 2, 1))}
    model = keras.Model(list(maps.values()), deconvolution.deconvolution(maps, None)["deconv_a"])
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2DTranspose):
            layer.kernel.assign([[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]])
        elif isinstance(layer, keras.layers.Conv2D):
            layer.kernel.assign(np.pad([[[[1.0]]]], ((1, 1), (1, 1), (0, 0), (0, 0))))  # changes nothing
    fine = np.arange(1.0, 9).reshape(1, 2, 4, 1)
    found = model([fine, np.array([1.0, -1]).reshape(1, 1, 2, 1)])
    expected = np.array([[1 * 1, 2 * 2, 0, 0], [5 * 3, 6 * 4, 0, 0]]) * (1 + 1e-3) ** -1.5
    np.testing.assert_allclose(found[0, ..., 0], expected, rtol=1e-5)


def test_a_deconvolution_needs_halves():
    maps = {"a": keras.Input((4, 4, 6)), "b": keras.Input((1, 1, 4))}
    with pytest.raises(ValueError, match=r"neck='deconvolution' needs maps of half .* got 4x4 before 1x1"):
        deconvolution.deconvolution(maps, None)


def an_object_of_each_level(spec):
    """The first anchor of a cell in the middle of each level, as a box."""
    ends = np.cumsum([level.num_anchors for level in spec.levels])
    middles = [end - level.num_anchors // 16 * 8 - 8 for end, level in zip(ends, spec.levels, strict=True)]
    return np.clip(spec.xyxy[middles], 0, 1)


@pytest.mark.parametrize("build", NETWORKS)
def test_trains_saves_and_detects(thin, tmp_path, build):
    model = build(class_names=("cat", "dog"), image_size=SIZE, weight_decay=0.0)
    for layer in model.layers:  # four steps are too few for their statistics, and products of maps grow fast
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.1
    spec = mb.anchors_of(model)
    assert [level.grid for level in spec.levels] == GRIDS
    encode = mb.GroundTruthEncoder(spec, 2)
    # Of two images, BatchNorm would make a map of one cell of plus and minus one, without a gradient.
    labels = np.array([[1, 2, 1, 2, 1, 2], [2, 1, 2, 1, 2, 1], [2, 2, 2, 1, 1, 1]])
    targets = np.stack([encode(an_object_of_each_level(spec), row) for row in labels])
    images = np.random.default_rng(0).integers(0, 256, (3, *SIZE, 3), np.uint8)
    model.compile(keras.optimizers.SGD(1e-2), mb.loss_of(model))
    before = [keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    losses = [float(model.train_on_batch(images, targets)) for _ in range(4)]
    assert losses[-1] < losses[0]
    same = [
        weight.path
        for weight, old in zip(model.trainable_weights, before, strict=True)
        if np.array_equal(keras.ops.convert_to_numpy(weight), old)
    ]
    assert same == []

    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for saved, weight in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, weight)
    assert np.isfinite(again.predict(images, verbose=0)).all()
    for layer in again.layers:  # after four steps, scores and boxes mean nothing
        if layer.name.endswith(("_mbox_loc", "_mbox_conf")):
            layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    (found,) = mb.detect(again, list(images[:1]), min_score=0.3)
    assert len(found) == 200 and found.scores == pytest.approx(1 / 3)


@pytest.mark.parametrize("build", NETWORKS)
def test_exports(thin, tmp_path, build):
    for package in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    model = build(class_names=("cat", "dog"), image_size=SIZE)
    assert mb.export(model, tmp_path / "m.onnx").exists()  # which compares it with Keras


def test_frozen_batch_norm(thin):
    with unallocated_weights():
        model = mb.SSD321(2, image_size=SIZE, freeze_batch_norm=True)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    frozen = {layer.name for layer in norms if not layer.trainable}
    assert {"conv1_bn", "conv5_block1_3_bn"} <= frozen
    assert not any(name.startswith(("extra", "conv3_x", "conv5_x")) for name in frozen)


def test_weights_of_a_resnet_and_of_a_detector(thin, tmp_path):
    backbone = thin_resnet(False, None, (64, 64, 3))
    backbone.save(tmp_path / "resnet.keras")
    model = mb.SSD321(2, image_size=SIZE, weights=tmp_path / "resnet.keras")
    for name in ("conv1_conv", "conv5_block1_2_conv", "conv5_block1_3_bn"):
        for loaded, own in zip(
            model.get_layer(name).get_weights(), backbone.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(loaded, own)
    model.save_weights(tmp_path / "all.weights.h5")
    again = mb.SSD321(2, image_size=(200, 200), weights=tmp_path / "all.weights.h5")
    for loaded, own in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, own)


def test_the_published_weights(thin, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "multibox.weights.loading.fetch_source", lambda source: asked.append(source.key) or missing()
    )

    def missing():
        raise FileNotFoundError("no network")

    for build in (mb.SSD321, mb.DSSD321, partial(mb.SSD513, image_size=(400, 400))):
        build = partial(build, image_size=SIZE) if build in NETWORKS else build
        with pytest.raises(FileNotFoundError):
            build(2, weights="imagenet")
    assert asked == ["resnet101_imagenet"] * 3
    with pytest.raises(ValueError, match="no published weights 'coco', only imagenet"):
        mb.SSD321(2, image_size=SIZE, weights="coco")


def test_other_channels_and_sizes(thin):
    anchors = mb.anchors.ssd321_anchors((400, 300), mb.anchors.SSD300_COCO_SCALES)
    with unallocated_weights():
        assert mb.SSD321(2, image_size=SIZE, channels=1).input_shape == (None, *SIZE, 1)
        assert mb.anchors_of(mb.DSSD321(2, anchors=anchors)) == anchors
    with pytest.raises(ValueError, match="ssd321_anchors: each side must have at least 195 pixels, got 194x"):
        mb.SSD321(2, image_size=(194, 300))
    with pytest.raises(ValueError, match="ssd513_anchors: each side must have at least 387 pixels, got 386x"):
        mb.SSD513(2, image_size=(386, 600))


def test_any_backbone_has_these_heads_and_this_neck():
    def backbone(x):
        conv = {"strides": 2, "padding": "same", "activation": "relu"}
        fine = keras.layers.Conv2D(8, 3, name="fine", **conv)(x)
        return {"fine": fine, "coarse": keras.layers.Conv2D(8, 3, name="coarse", **conv)(fine)}

    with unallocated_weights():
        model = mb.SSD(backbone, 2, image_size=(20, 24), extras=(8, 8), neck="deconvolution", head="residual")
    assert [level.grid for level in mb.anchors_of(model).levels] == [(10, 12), (5, 6), (3, 3), (1, 1)]
    assert model.get_layer("deconv_fine_out").output.shape == (None, 10, 12, 512)
