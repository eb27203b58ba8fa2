import importlib.util

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.layers import ImageNormalization
from multibox.models.backbones import layers_by_stride
from multibox.models.feature_pyramid import feature_pyramid
from multibox.models.graph import calls_of
from multibox.models.pixels import PIXELS, pixels_of

SIZE = (96, 128)
NAMES = ("cat", "dog")


def small(name="mine", size=(None, None), channels=3):
    """A backbone of one's own: strides 2 to 16, with a shortcut."""
    keras.utils.set_random_seed(0)
    image = keras.Input((*size, channels))
    x = image
    for i in range(1, 5):
        x = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu", name=f"down{i}")(x)
        y = keras.layers.Conv2D(8, 3, padding="same", name=f"conv{i}")(x)
        y = keras.layers.BatchNormalization(name=f"bn{i}")(y)
        x = keras.layers.Add(name=f"block{i}")([x, y])
    return keras.Model(image, x, name=name)


def detector(backbone=None, **options):
    settings = {"image_size": SIZE, "sources": (8, 16), "extras": (16, 16), "pixels": "tf"}
    backbone = small() if backbone is None else backbone
    return mb.SSD(backbone, class_names=NAMES, **(settings | options))


def pictures():
    return np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), np.uint8)


def test_the_maps_are_those_of_the_backbone():
    backbone = small()
    model = detector(backbone)
    assert [level.grid for level in mb.anchors_of(model).levels] == [(12, 16), (6, 8), (3, 4), (2, 2)]
    features = keras.Model(model.inputs[0], model.get_layer("block4").output)
    expected = backbone.predict(pictures() / 127.5 - 1.0, verbose=0)
    np.testing.assert_allclose(features.predict(pictures(), verbose=0), expected, atol=1e-5)


def test_the_backbone_itself_is_left_alone():
    backbone = small()
    before = backbone.get_weights()
    model = detector(backbone)
    model.get_layer("down1").kernel.assign(model.get_layer("down1").kernel + 1.0)
    for old, new in zip(before, backbone.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "options",
    [
        {"head": "separable"},
        {"neck": "fpn", "head": "shared", "extras": (256, 256)},
        {"neck": "fpn", "image_size": (90, 130)},
        {"activation": "sigmoid", "sources": ("block3", 16), "freeze_batch_norm": True},
        {"sources": (4, 8, 16), "extras": ()},
    ],
)
def test_each_variant_trains_saves_and_detects(tmp_path, options):
    model = detector(**options)
    spec = mb.anchors_of(model)
    encoder = mb.GroundTruthEncoder(spec, 2)
    targets = np.stack([encoder(np.array([[0.1, 0.1, 0.6, 0.7]]), np.array([1]))] * 2)
    images = np.zeros((2, *spec.image_size, 3), np.uint8)
    model.compile("sgd", mb.loss_of(model))
    assert np.isfinite(model.train_on_batch(images, targets))
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    for saved, weight in zip(again.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(saved, weight)
    assert mb.to_inference(again).output_shape == (None, 200, 6)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
@pytest.mark.parametrize("channels", [1, 4])
def test_pixels_of_other_channels(kind, channels):
    """They have the mean of the three numbers."""

    def backbone(x):
        return {"only": keras.layers.Conv2D(8, 3, 16, padding="same")(x)}

    pixels = {"mean": kind([120.0, 110.0, 100.0]), "scale": kind([0.1, 0.2, 0.3])}
    options = {"image_size": SIZE, "extras": (8,), "pixels": pixels, "channels": channels}
    model = mb.SSD(backbone, 2, **options)
    normalization = next(layer for layer in model.layers if isinstance(layer, ImageNormalization))
    mean, scale = ([110.0], [0.2]) if channels == 1 else ([120.0, 110.0, 100.0, 110.0], [0.1, 0.2, 0.3, 0.2])
    np.testing.assert_allclose(normalization.mean, mean)
    np.testing.assert_allclose(normalization.scale, scale)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_pixels_of_each_channel(kind):
    def backbone(x):
        return {"only": keras.layers.Conv2D(8, 3, 16, padding="same")(x)}

    pixels = {"mean": kind([100.0, 120.0])}
    model = mb.SSD(backbone, 2, image_size=SIZE, extras=(8,), pixels=pixels, channels=2)
    normalization = next(layer for layer in model.layers if isinstance(layer, ImageNormalization))
    assert normalization.mean == [100.0, 120.0]


def test_numbers_of_numpy():
    model = detector(sources=np.array([8, 16]), extras=np.array([16, 16]), weight_decay=np.float32(5e-4))
    assert [level.grid for level in mb.anchors_of(model).levels] == [(12, 16), (6, 8), (3, 4), (2, 2)]


def test_a_sigmoid_begins_with_rare_objects():
    bias = detector(activation="sigmoid").get_layer("extra1_mbox_conf").bias
    np.testing.assert_allclose(bias, -4.595)
    assert not np.any(detector(activation="sigmoid").get_layer("extra1_mbox_loc").bias)


def test_frozen_statistics():
    """A training step leaves statistics, scale and offset of the backbone as they were, and no others."""
    model = detector(freeze_batch_norm=True)
    encoder = mb.GroundTruthEncoder(model)
    targets = np.stack([encoder(np.array([[0.1, 0.1, 0.6, 0.7]]), np.array([1]))] * 2)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    model.compile("sgd", mb.loss_of(model))
    model.train_on_batch(pictures(), targets)
    for name in ("bn1", "bn4"):
        assert all(map(np.array_equal, before[name], model.get_layer(name).get_weights()))
    for name in ("conv4", "extra1_reduce_bn"):
        assert not any(map(np.array_equal, before[name], model.get_layer(name).get_weights()))
    assert not model.get_layer("bn4").trainable and not model.get_layer("bn1").trainable
    assert model.get_layer("extra1_reduce_bn").trainable
    assert detector().get_layer("bn4").trainable


def test_frozen_statistics_of_a_nested_model():
    inner = keras.Sequential(
        [keras.layers.Conv2D(8, 3, 16, padding="same"), keras.layers.BatchNormalization()]
    )
    image = keras.Input((*SIZE, 3))
    backbone = keras.Model(image, keras.layers.ReLU(name="last")(inner(image)))
    model = detector(backbone, sources=("last",), extras=(), freeze_batch_norm=True)
    nested = next(layer for layer in model.layers if isinstance(layer, keras.Sequential))
    assert not nested.layers[1].trainable and nested.layers[0].trainable


@pytest.mark.parametrize("size", [(36, 36), (40, 640), (66, 640), (640, 40), (32, 48)])
def test_strides_of_small_images(size):
    """Their maps have few cells, rounded up: 36 rows have two at stride 32."""
    image = x = keras.Input((None, None, 3))
    for i in range(1, 6):
        x = keras.layers.Conv2D(4, 3, 2, padding="same", name=f"stride{2**i}")(x)
    found = layers_by_stride(calls_of(keras.Model(image, x), "test", (*size, 3)), size)
    assert found == {2**i: f"stride{2**i}" for i in range(1, 6)}


def test_shared_heads_have_the_same_weights_on_each_level():
    model = detector(neck="fpn", head="shared", extras=(256,))
    assert sum("_mbox_conf" in layer.name for layer in model.layers) == 5  # four and the last one
    with pytest.raises(ValueError, match="needs the same number of anchors in the cells of each level"):
        detector(
            neck="fpn",
            head="shared",
            extras=(256,),
            anchors=mb.AnchorSpec.from_scales(
                SIZE, [(12, 16), (6, 8), (3, 4)], (0.1, 0.3, 0.6, 0.9), [(2,), (2, 3), (2,)]
            ),
        )


def test_a_pyramid_by_hand():
    """Kernels that pass on the first channel: each map is itself and all coarser ones, repeated."""
    coarse = np.arange(1.0, 7.0, dtype=np.float32).reshape(1, 2, 3, 1)
    fine = 100 * np.arange(1.0, 16.0, dtype=np.float32).reshape(1, 3, 5, 1)
    inputs = {"fine": keras.Input((3, 5, 1)), "coarse": keras.Input((2, 3, 1))}
    maps = feature_pyramid(dict(inputs), None, channels=1)
    assert list(maps) == ["fpn_fine", "fpn_coarse"]
    model = keras.Model(list(inputs.values()), list(maps.values()))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel = np.zeros(layer.kernel.shape, np.float32)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1.0
            layer.set_weights([kernel, np.zeros(1, np.float32)])
    found = model.predict([fine, coarse], verbose=0)
    repeated = [[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [4, 4, 5, 5, 6]]  # of 4x6, without the last row and column
    np.testing.assert_array_equal(found[0][0, :, :, 0], fine[0, :, :, 0] + repeated)
    np.testing.assert_array_equal(found[1], coarse)


def test_a_function_is_a_backbone_too():
    def backbone(x):
        x = keras.layers.Conv2D(8, 3, 16, padding="same", name="only")(x)
        return {"only": x}

    model = mb.SSD(backbone, 3, image_size=SIZE, extras=(8,))
    assert [level.grid for level in mb.anchors_of(model).levels] == [(6, 8), (3, 4)]
    normalization = next(layer for layer in model.layers if isinstance(layer, ImageNormalization))
    assert normalization.mean == 127.5


def test_the_image_size_is_that_of_the_backbone():
    assert detector(small(size=(64, 96)), image_size=None).input_shape == (None, 64, 96, 3)
    assert detector(image_size=None).input_shape == (None, 300, 300, 3)


def test_the_papers_anchors():
    spec = mb.anchors.paper_anchors((100, 200), [(4, 8), (2, 4), (1, 2)])
    np.testing.assert_allclose([level.sides[0] for level in spec.levels], [(20, 20), (55, 55), (90, 90)])
    np.testing.assert_allclose(spec.levels[0].sides[1], [np.sqrt(20 * 55)] * 2)
    np.testing.assert_allclose(spec.levels[1].sides[2], [55 * np.sqrt(2), 55 / np.sqrt(2)])
    assert {len(level.sides) for level in spec.levels} == {6}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sources": (8, 64)}, r"has no feature map of stride 64; it has 2 \(block1\), 4 \(block2\)"),
        ({"sources": ("block3", "blok4")}, r"has no layer 'blok4'.*block4"),
        ({"sources": (16, 8)}, r"must get coarser from each to the next, got block4 6x8, block3 12x16"),
        (
            {"sources": ("down4", "block4")},
            r"must get coarser from each to the next, got down4 6x8, block4 6x8",
        ),
        ({"sources": (16, 16)}, r"must get coarser from each to the next, got block4 6x8, block4 6x8"),
        ({"sources": (8, "block3", 16)}, r"must get coarser .*, got block3 12x16, block3 12x16, block4 6x8"),
        ({"extras": (16, 1)}, r"each of extras must be at least 2, got 1"),
        ({"extras": (16, 3), "head": "residual"}, r"each of extras must be at least 4, got 3"),
        (
            {"neck": "fpn", "head": "shared"},
            r"maps of the same number of channels, got 256 and 16; pass neck='fpn' and extras of 256",
        ),
        (
            {
                "anchors": mb.AnchorSpec.from_scales(
                    SIZE, [(12, 16), (6, 8), (3, 5), (2, 2)], (0.1, 0.3, 0.5, 0.7, 0.9), [(2,)] * 4
                )
            },
            r"the feature map extra1 has 3x4 cells, but its level of the anchors 3x5",
        ),
        (
            {"pixels": None},
            r"not known which pixels the backbone 'mine' expects; pass pixels, one of 'caffe'",
        ),
        ({"pixels": "torhc"}, r"pixels must be one of .*'torhc'"),
        ({"channels": 4}, r"takes images of 3 channels, the detector of 4"),
        (
            {"anchors": mb.anchors.SSDLITE320, "image_size": None},
            r"the anchor spec has 6 levels, the model 4",
        ),
        (
            {"anchors": mb.anchors.SSDLITE320},
            r"image_size is \(96, 128\), but the anchors are for \(320, 320\)",
        ),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        detector(**options)


def test_backbones_that_cannot_be():
    with pytest.raises(ValueError, match=r"was built for images of 64x64 pixels, the detector is for 96x128"):
        detector(small(size=(64, 64)))
    x = small()
    top = keras.layers.GlobalAveragePooling2D()(x.output)
    with pytest.raises(
        ValueError, match=r"returns \(None, 8\), no feature map: it ends with a classifier or"
    ):
        detector(keras.Model(x.input, top))
    vector = keras.Input((4,))
    with pytest.raises(ValueError, match="must take one batch of images"):
        detector(keras.Model(vector, keras.layers.Dense(2)(vector)))
    image = keras.Input((3, *SIZE))
    first = keras.layers.Conv2D(8, 3, data_format="channels_first", name="stem")
    with pytest.raises(ValueError, match=r"layer 'stem' of the backbone 'other' is channels_first"):
        detector(keras.Model(image, first(image), name="other"))

    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match=r"is of the class Own.*expected a functional model"):
        detector(Own())


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (
            keras.applications.MobileNetV2,
            TypeError,
            r"builds a model: call it, with include_top=False and input",
        ),
        (lambda x: [x], TypeError, r"must return \{name: feature map\}, got list"),
        (lambda x: {}, ValueError, r"returns no feature maps"),
        (
            lambda x: {"pooled": keras.layers.GlobalAveragePooling2D()(x)},
            ValueError,
            r"the feature map 'pooled' must be \(batch, rows, columns, channels\), got \(None, 3\)",
        ),
    ],
)
def test_functions_that_cannot_be_backbones(function, error, words):
    with pytest.raises(error, match=words):
        mb.SSD(function, 3, image_size=SIZE)


def test_sources_are_of_models():
    with pytest.raises(ValueError, match=r"sources are layers or strides of a keras\.Model; a function"):
        mb.SSD(lambda x: {"only": x}, 3, image_size=SIZE, sources=(8, 16))


FAMILIES = {
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "EfficientNetB0": "efficientnet",
    "EfficientNetV2B0": "efficientnet_v2",
    "ConvNeXtTiny": "convnext",
    "DenseNet121": "densenet",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
    "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2",
    "NASNetMobile": "nasnet",
}


@pytest.mark.parametrize("name", FAMILIES)
def test_pixels_are_those_of_the_family(name):
    """Beside `preprocess_input`; a family whose layers do it has one that changes nothing."""
    own = [keras.layers.Rescaling(1.0)] if name in WITH_OWN else []
    image = keras.Input((None, None, 3))
    x = image
    for layer in own:
        x = layer(x)
    backbone = keras.Model(image, keras.layers.Conv2D(1, 1)(x), name=KERAS_NAMES[name])
    family = getattr(keras.applications, FAMILIES[name])
    pixels = pictures().astype(np.float32)
    found = ImageNormalization(**pixels_of(backbone, None, "SSD"))(pixels)
    np.testing.assert_allclose(found, family.preprocess_input(pixels.copy()), atol=2e-5)


WITH_OWN = ("MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny")
KERAS_NAMES = {
    **{name: name.lower() for name in FAMILIES},
    "MobileNet": "mobilenet_1.00_224",
    "MobileNetV2": "mobilenetv2_1.00_224",
    "InceptionV3": "inception_v3",
    "InceptionResNetV2": "inception_resnet_v2",
    "NASNetMobile": "NASNet",
    "MobileNetV3Small": "MobileNetV3Small",
    "EfficientNetV2B0": "efficientnetv2-b0",
    "ConvNeXtTiny": "convnext_tiny",
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MobileNetV2", {8: "block_6_expand_relu", 16: "block_13_expand_relu", 32: "out_relu"}),
        ("ResNet50V2", {8: "conv3_block3_out", 16: "conv4_block5_out", 32: "post_relu"}),
    ],
)
def test_real_backbones(name, expected):
    """The expansion that SSDLite reads, and no branch beside a shortcut."""
    backbone = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(None, None, 3))
    found = layers_by_stride(calls_of(backbone, "test", (160, 192, 3)), (160, 192))
    assert {stride: found[stride] for stride in expected} == expected
    assert pixels_of(backbone, None, "test") == PIXELS["tf"]


def test_a_layer_called_normalization_and_a_plain_sum(tmp_path):
    """As EfficientNet and ConvNeXt have them."""
    keras.utils.set_random_seed(0)
    image = keras.Input((64, 96, 3))
    x = keras.layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0] * 3, name="normalization")(image)
    x = keras.layers.Conv2D(8, 3, 16, padding="same", name="stem")(x)
    x = x + keras.layers.Conv2D(8, 3, padding="same", name="branch")(x)
    backbone = keras.Model(image, x)
    model = mb.SSD(backbone, 2, sources=(16,), extras=(8,))
    assert [level.grid for level in mb.anchors_of(model).levels] == [(4, 6), (2, 3)]
    assert mb.complexity(model).multiply_adds > 0
    model.save(tmp_path / "m.keras")
    pixels = pictures()[:, :64, :96].astype(np.float32)
    maps = keras.Model(model.inputs[0], next(o for o in model.operations if "add" in o.name.lower()).output)
    np.testing.assert_allclose(
        maps.predict(pixels, verbose=0), backbone.predict(pixels, verbose=0), atol=1e-3
    )
    if importlib.util.find_spec("onnxruntime") and importlib.util.find_spec("onnx"):
        assert mb.export(tmp_path / "m.keras", tmp_path / "m.onnx").exists()  # which compares it with Keras
