import keras
import numpy as np
import pytest
from layer_contract import check_layer

from multibox.anchors import AnchorLevel, AnchorSpec
from multibox.layers import MultiBox

SPEC = AnchorSpec(
    (8, 16),
    (
        AnchorLevel((1, 2), ((4.0, 4.0), (8.0, 2.0)), (8.0, 8.0)),
        AnchorLevel((1, 1), ((8.0, 8.0),), (8.0, 16.0)),
    ),
)


def head(rows, columns, channels, first):
    return first + np.arange(rows * columns * channels, dtype=np.float32).reshape(1, rows, columns, channels)


def heads(classes=3):
    offsets = [head(1, 2, 8, 0), head(1, 1, 4, 16)]
    logits = [head(1, 2, 2 * classes, 100), head(1, 1, classes, 100 + 4 * classes)]
    return offsets, logits


def test_contract_and_order_of_rows(tmp_path):
    output = check_layer(MultiBox(SPEC, 2), heads(), tmp_path)
    # Anchor by anchor: level, cell, side.
    np.testing.assert_array_equal(output[0, :, :4], np.arange(20).reshape(5, 4))
    np.testing.assert_array_equal(output[0, :, 4:], 100 + np.arange(15).reshape(5, 3))


def test_the_activation_is_carried_not_applied(tmp_path):
    layer = MultiBox(SPEC, 2, activation="sigmoid")
    output = check_layer(layer, heads(), tmp_path)
    np.testing.assert_array_equal(output[0, :, 4:], 100 + np.arange(15).reshape(5, 3))
    assert MultiBox.from_config(layer.get_config()).activation == "sigmoid"


def test_a_config_of_old_is_softmax():
    config = MultiBox(SPEC, 2).get_config()
    del config["activation"]
    assert MultiBox.from_config(config).activation == "softmax"


def test_unknown_activation():
    with pytest.raises(ValueError, match=r"MultiBox: activation must be .*, got 'sigmoids'; did you mean"):
        MultiBox(SPEC, 2, activation="sigmoids")


def test_output_is_float32_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = MultiBox(SPEC, 2)
    finally:
        keras.config.set_dtype_policy("float32")
    output = layer(*keras.tree.map_structure(lambda x: keras.ops.cast(x, "bfloat16"), heads()))
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


def test_feature_map_of_another_size_is_named():
    offsets, logits = heads()
    offsets[0] = head(2, 2, 8, 0)
    with pytest.raises(ValueError, match=r"level 0 needs offsets of shape .* = \(1, 2, 8\), got \(2, 2, 8\)"):
        MultiBox(SPEC, 2)(offsets, logits)


def test_head_of_another_number_of_classes_is_named():
    with pytest.raises(ValueError, match=r"level 0 needs logits of shape .* = \(1, 2, 10\), got \(1, 2, 6\)"):
        MultiBox(SPEC, 4)(*heads())


def test_missing_level_is_named():
    offsets, logits = heads()
    with pytest.raises(ValueError, match="spec has 2 levels, the model 1 offset and 2 class heads"):
        MultiBox(SPEC, 2)(offsets[:1], logits)


@pytest.mark.parametrize("num_classes", [0, -1])
def test_no_classes(num_classes):
    with pytest.raises(ValueError, match=f"num_classes must be at least 1, got {num_classes}"):
        MultiBox(SPEC, num_classes)


def test_something_else_as_anchors():
    with pytest.raises(TypeError, match=r"MultiBox: anchors must be .*AnchorSpec.*, got list"):
        MultiBox([1, 2], 2)


def test_class_names_are_carried(tmp_path):
    layer = MultiBox(SPEC, 2, class_names=["cat", None])
    check_layer(layer, heads(), tmp_path)
    assert MultiBox.from_config(layer.get_config()).class_names == ("cat", None)
    assert MultiBox(SPEC, 2).class_names is None


def test_a_config_of_old_has_no_class_names():
    config = MultiBox(SPEC, 2).get_config()
    del config["class_names"]
    assert MultiBox.from_config(config).class_names is None


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat",), "expected 2 names, background not counted, got 1"),
        (("background", "cat", "dog"), "expected 2 names, .* got 3; leave out the background"),
        (("background", "cat"), "'background' is not counted as a class; leave it out"),
        (("cat", "cat"), "'cat' occurs more than once"),
        ("ab", "class_names must be a sequence"),
        (("cat", 7), "class_names must be a sequence"),
        (("cat", "dog\n"), "has blanks around it"),
    ],
)
def test_class_names_that_do_not_fit(names, message):
    with pytest.raises((TypeError, ValueError), match=message):
        MultiBox(SPEC, 2, class_names=names)
