"""`complexity`: totals of the references, small networks counted by hand, and what it refuses."""

import json

import keras
import pytest
from keras import layers

import multibox as mb
from multibox.models.unallocated import unallocated_weights
from multibox.profiling import LayerComplexity

# torchvision's `_ops` of ssd300_vgg16 (34.858) and ssdlite320_mobilenet_v3_large (0.583), to the last digit.
# The references count background as a class: 91 of COCO are 90 here, 21 of VOC are 20.
TOTALS = {
    ("SSD300", 90): 34_858_153_472,
    ("SSD300", 20): 31_373_537_792,
    ("SSDLite", 90): 583_171_904,
}


@pytest.fixture(scope="module", autouse=True)
def unallocated():
    """Nothing here runs a model."""
    with unallocated_weights():
        yield


@pytest.fixture(scope="module")
def ssd300():
    return mb.complexity(mb.SSD300(20, mode="inference"))


@pytest.mark.parametrize(("name", "classes"), TOTALS)
def test_totals_are_those_of_the_references(name, classes):
    model = getattr(mb, name)(classes)
    result = mb.complexity(model)
    assert result.multiply_adds == TOTALS[name, classes]
    assert result.parameters == model.count_params()
    assert result.unknown == ()


def test_the_stages_of_ssd300(ssd300):
    assert [stage.name for stage in ssd300.stages] == ["backbone", "extras", "heads", "decoding"]
    backbone, extras, heads, decoding = ssd300.stages
    assert ssd300.parameters == backbone.parameters + extras.parameters + heads.parameters == 26_285_486
    # conv6_1: 1024 -> 256 at 19x19; conv6_2: 256 -> 512, 3x3 at 10x10; and so on.
    first = 19 * 19 * 1024 * 256 + 10 * 10 * 9 * 256 * 512 + 10 * 10 * 512 * 128 + 25 * 9 * 128 * 256
    assert extras.multiply_adds == first + 25 * 256 * 128 + 9 * 9 * 128 * 256 + 9 * 256 * 128 + 9 * 128 * 256
    # 21 + 4 outputs for each anchor, 3x3 kernels.
    anchors = ((38 * 38 * 4, 512), (19 * 19 * 6, 1024), (600, 512), (150, 256), (36, 256), (4, 256))
    assert heads.multiply_adds == sum(count * 25 * 9 * channels for count, channels in anchors)
    assert decoding.multiply_adds == decoding.parameters == 0
    assert {layer.name for layer in ssd300.layers if layer.stage == "decoding"} == {"anchors", "detections"}


def test_receptive_fields_of_vgg16(ssd300):
    fields = {layer.name: layer.receptive_field for layer in ssd300.layers}
    known = {"conv1_2": 5, "conv2_2": 14, "conv3_3": 40, "conv4_3": 92, "conv5_3": 196, "fc7": 420}
    known |= {"conv4_3_norm": 92, "conv6_2": 452, "conv7_2": 516, "conv8_2": 644, "conv9_2": 772}
    assert {name: fields[name] for name in known} == {name: (side, side) for name, side in known.items()}
    assert fields["predictions"] is None


@pytest.mark.parametrize(
    ("build", "extra", "head"),
    [
        (lambda: mb.SSDLite(2), "extra1_depthwise_bn", "c5_mbox_loc_depthwise"),
        (lambda: mb.SSDMobileNet(2, alpha=0.25), "extra4_expand", "extra4_mbox_conf"),
        (lambda: mb.SSD512(1), "conv10_padding", "conv10_2_mbox_loc"),
    ],
)
def test_extras_and_heads_of_the_networks(build, extra, head):
    stages = {layer.name: layer.stage for layer in mb.complexity(build()).layers}
    assert (stages[extra], stages[head], stages["normalization"]) == ("extras", "heads", "backbone")
    assert "decoding" not in stages.values()


def test_ssd7_has_no_extras():
    result = mb.complexity(mb.SSD7(2, image_size=(64, 96)))
    assert [stage.name for stage in result.stages] == ["backbone", "heads"]
    assert result.input_shape == (64, 96, 3)


@pytest.fixture
def small():
    """A bit of everything, 8x12 pixels."""
    x = image = keras.Input((8, 12, 3), name="image")
    x = layers.Conv2D(4, (3, 5), strides=2, padding="same", dilation_rate=1, name="conv")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.SeparableConv2D(5, 3, padding="same", name="separable")(x)
    x = layers.BatchNormalization(name="bn")(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    squeezed = layers.Conv2D(5, 1, activation="sigmoid", name="excite")(squeezed)
    x = layers.Multiply(name="scale")([x, squeezed])
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Conv2D(6, 3, padding="same", dilation_rate=2, groups=1, name="dilated")(x)
    x = layers.Flatten(name="flat")(x)
    return keras.Model(image, layers.Dense(7, name="dense")(x), name="small")


def test_each_layer_counted_by_hand(small):
    rows = {layer.name: layer for layer in mb.complexity(small).layers}
    counted = {
        "conv": (3 * 5 * 3 * 4 + 4, 3 * 5 * 3 * 4 * 4 * 6, (3, 5)),
        "depthwise": (9 * 4 * 2 + 8, 9 * 4 * 2 * 24, (3 + 4, 5 + 4)),
        "separable": (9 * 8 + 8 * 5 + 5, (9 * 8 + 8 * 5) * 24, (11, 13)),
        "bn": (20, 0, (11, 13)),
        "mean": (0, 0, (0, 0)),
        "excite": (5 * 5 + 5, 25, (0, 0)),
        "scale": (0, 0, (11, 13)),
        "pool": (0, 0, (13, 15)),
        "dilated": (9 * 5 * 6 + 6, 9 * 5 * 6 * 6, (13 + 4 * 4, 15 + 4 * 4)),
        "flat": (0, 0, None),
        "dense": (36 * 7 + 7, 36 * 7, None),
    }
    found = {
        name: (rows[name].parameters, rows[name].multiply_adds, rows[name].receptive_field)
        for name in counted
    }
    assert found == counted
    assert rows["conv"].activation_bytes == 4 * 6 * 4 * 4
    assert rows["conv"].output_shape == (4, 6, 4)
    assert {row.stage for row in rows.values()} == {"model"}


def test_groups_transposed_and_half_precision():
    image = keras.Input((4, 4, 4), dtype="float16")
    x = layers.Conv2D(8, 3, groups=4, padding="same", name="groups", dtype="float16")(image)
    x = layers.Conv2DTranspose(2, 3, strides=2, padding="same", name="up", dtype="float16")(x)
    rows = {layer.name: layer for layer in mb.complexity(keras.Model(image, x)).layers}
    assert rows["groups"].multiply_adds == 9 * 1 * 8 * 16
    assert rows["up"].multiply_adds == 9 * 2 * 8 * 16  # once for each position of the input
    assert rows["groups"].activation_bytes == 16 * 8 * 2
    assert rows["up"].receptive_field is None


def test_nested_models_and_shared_layers():
    """A nested model that was built for any size counts with the size that it gets."""
    x = inner = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(x)
    nested = keras.Model(inner, layers.ReLU(name="relu")(x), name="nested")
    tail = keras.Sequential([keras.Input((4, 4, 4)), layers.Conv2D(4, 1, name="shared")], name="tail")
    image = keras.Input((8, 8, 3), name="image")
    x = tail(tail(nested(image)))
    model = keras.Model(image, x + x)
    result = mb.complexity(model)
    assert [(row.name, row.parameters, row.multiply_adds) for row in result.layers][:5] == [
        ("image", 0, 0),
        ("nested/first", 3 * 9 * 4 + 4, 3 * 9 * 4 * 16),
        ("nested/relu", 0, 0),
        ("tail/shared", 20, 16 * 16),
        ("tail/shared", 0, 16 * 16),
    ]
    assert result.layers[-1].kind == "Add"
    assert result.parameters == model.count_params()
    assert result.receptive_field == (3, 3)
    assert result.unknown == ()


def test_a_nested_detector_has_its_stages():
    image = keras.Input((64, 64, 3))
    model = keras.Model(image, mb.SSD7(2, image_size=(64, 64))(image))
    plain = mb.complexity(mb.SSD7(2, image_size=(64, 64)))
    assert [(s.name, s.multiply_adds) for s in mb.complexity(model).stages] == [
        (s.name, s.multiply_adds) for s in plain.stages
    ]


class Twice(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],))

    def call(self, x):
        return 2 * x * self.factor


def test_unknown_layers_are_named_and_count_as_nothing():
    image = keras.Input((4, 4, 3))
    x = keras.ops.matmul(Twice(name="my_twice")(image), keras.ops.ones((3, 3)))
    result = mb.complexity(keras.Model(image, x))
    assert result.unknown[0] == "my_twice" and len(result.unknown) == 2
    assert (result.multiply_adds, result.parameters) == (0, 3)
    assert result.layers[1].receptive_field is None
    assert "counted as 0 multiply-adds: my_twice, " in str(result)
    assert r"my\_twice" in result.to_markdown(layers=False)


def test_the_tables(small):
    result = mb.complexity(small)
    assert str(result).splitlines() == [
        "small, input 8x12x3, for one image",
        "stage  parameters  multiply-adds  activations MiB  field",
        "model         966         10,633             0.00  29x31",
    ]
    lines = result.to_markdown().splitlines()
    assert lines[0] == "## small, input 8x12x3, for one image"
    assert lines[2:5] == [
        "| stage | parameters | multiply-adds | activations MiB | field |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| model | 966 | 10,633 | 0.00 | 29x31 |",
    ]
    assert "| mean | GlobalAveragePooling2D | 1x1x5 | 0 | 0 | 0.00 | image |" in lines
    assert "mean" not in result.to_markdown(layers=False)
    assert result.layer_table().count("\n") == len(result.layers)


def test_to_dict_is_json(small):
    result = mb.complexity(small)
    written = json.loads(json.dumps(result.to_dict()))
    assert written["multiply_adds"] == result.multiply_adds
    assert written["layers"][1] | {"output_shape": (4, 6, 4), "receptive_field": (3, 5)} == vars(
        result.layers[1]
    )
    assert isinstance(result.layers[1], LayerComplexity)


class Own(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: keras.Sequential([layers.Dense(2)], name="raw"), ValueError, "'raw' was never built"),
        (lambda: keras.Sequential(name="empty"), ValueError, "'empty' was never built"),
        (lambda: Own(name="own"), ValueError, "'own' is of the class Own, .* expected a functional model"),
        (
            lambda: keras.Sequential([keras.Input((None, 8, 3)), layers.ReLU()], name="any"),
            ValueError,
            r"'any' takes inputs of any size \(None, None, 8, 3\); build it with a fixed size",
        ),
        (lambda: "ssd300", TypeError, "complexity: model must be a Model, got str"),
    ],
)
def test_what_is_refused_in_one_line(build, error, message):
    with pytest.raises(error, match=message) as raised:
        mb.complexity(build())
    assert "\n" not in str(raised.value)
