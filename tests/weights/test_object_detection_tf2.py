"""Checkpoints of the TensorFlow Object Detection API for TensorFlow 2 in SSDMobileNet.

TensorFlow writes the checkpoints here, with objects that are called and nested as those of the API, which no
longer runs. No file of its model zoo has been at hand.
"""

import re

import keras
import numpy as np
import pytest
from object_detection_api import check, numbers

import multibox as mb
from multibox.weights.mapping import object_detection_tf2

tf = pytest.importorskip("tensorflow", reason="TensorFlow writes the checkpoints")
Node = tf.train.Checkpoint
BACKBONES = {"mobilenet_v1": keras.applications.MobileNet, "mobilenet_v2": keras.applications.MobileNetV2}
SOURCES = {"mobilenet_v1": ("conv_pw_11", "conv_pw_13"), "mobilenet_v2": ("c4", "c5")}
CONFIG = """model { ssd {
  image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
  box_coder { faster_rcnn_box_coder { y_scale: 20 x_scale: 20 height_scale: 5 width_scale: 5 } }
  anchor_generator { ssd_anchor_generator { aspect_ratios: [1, 2, 0.5, 3, 0.3333] } }
} }
"""
EXTRAS = ("extra1", "extra2", "extra3", "extra4")


def layer(arrays, is_depthwise=False):
    """A layer of Keras 2: its variables are attributes."""
    names = {"kernel": "depthwise_kernel"} if is_depthwise else {}
    return Node(**{names.get(name, name): tf.Variable(array) for name, array in arrays.items()})


def activation():
    return Node()


def conv_bn(expected, name):
    return [layer(expected[name], name.endswith("depthwise")), layer(expected[f"{name}_bn"]), activation()]


def detection_model(model, expected, backbone, head):
    """The objects of the API's `SSDMetaArch` that hold variables, by the names in its source code."""
    # The order of the layers is that of Keras' own network.
    network = BACKBONES[backbone](weights=None, include_top=False, input_shape=(64, 64, 3))
    names = [each.name for each in network.layers if each.weights]
    features = {
        f"layer_with_weights-{i}": layer(expected[name], "_dw_" in name or "depthwise" in name)
        for i, name in enumerate(names)
    }
    parts = ("reduce", "depthwise", "expand") if head == "separable" else ("reduce", "expand")
    extras = [[each for p in parts for each in conv_bn(expected, f"{name}_{p}")] for name in EXTRAS]
    heads = {}
    for theirs, ours in (("box_encodings", "loc"), ("class_predictions_with_background", "conf")):
        heads[theirs] = []
        for source in (*SOURCES[backbone], *EXTRAS):
            name = f"{source}_mbox_{ours}"
            dropout = [activation()] if ours == "conf" else []  # has no variables
            before = conv_bn(expected, f"{name}_depthwise") if head == "separable" else []
            layers = [*before, *dropout, layer(expected[name])]
            heads[theirs].append(
                Node(**{"_box_encoder_layers" if ours == "loc" else "_class_predictor_layers": layers})
            )
    return Node(
        _feature_extractor=Node(
            classification_backbone=Node(**features),
            feature_map_generator=Node(convolutions=[[], [], *extras]),
        ),
        _box_predictor=Node(_prediction_heads=heads),
    )


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("head", ["pointwise", "separable"])
def test_a_checkpoint(tmp_path, backbone, head):
    options = {"head": head, "separable_extras": head == "separable", "alpha": 0.05, "min_depth": 4}
    model = mb.SSDMobileNet(2, backbone=backbone, **options)
    expected = numbers(model)
    root = Node(model=detection_model(model, expected, backbone, head), step=tf.Variable(7))
    path = f"{root.write(str(tmp_path / 'ckpt-0'))}.index"
    report = mb.load_weights(model, path)
    api = "the TensorFlow Object Detection API for TensorFlow 2"
    assert report.origin == f"SSD MobileNet {backbone[-2:]} of {api}"
    assert not report.left and set(report.skipped) == {"step"}
    check(model, expected)


def test_the_anchors_are_those_of_the_archive(tmp_path):
    """Its `pipeline.config` lies beside the folder of the checkpoint."""
    options = {"alpha": 0.05, "min_depth": 4}
    model = mb.SSDMobileNet(2, backbone="mobilenet_v2", **options)
    root = Node(model=detection_model(model, numbers(model), "mobilenet_v2", "pointwise"))
    (tmp_path / "checkpoint").mkdir()
    path = f"{root.write(str(tmp_path / 'checkpoint' / 'ckpt-0'))}.index"
    config = tmp_path / "pipeline.config"
    config.write_text(CONFIG)
    with pytest.raises(ValueError, match=f"the anchors of {re.escape(str(config))} .*build it with these"):
        mb.load_weights(model, path)
    other = mb.anchors.pipeline_anchors(config)
    model = mb.SSDMobileNet(2, backbone="mobilenet_v2", anchors=other, **options)
    assert not mb.load_weights(model, path).left


def test_the_heads_of_a_feature_pyramid_are_refused():
    arrays = {
        "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel": np.ones(
            (3, 3, 3, 32)
        ),
        "model/_box_predictor/_base_tower_layers_for_heads/box_encodings/0/0/kernel": np.ones((3, 3, 8, 8)),
    }
    with pytest.raises(ValueError, match=r"of an FPN-lite model: no model here has them; .* pass names"):
        object_detection_tf2.from_tensorflow_2(arrays)


def test_two_copies_of_a_model_are_refused():
    name = "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel"
    with pytest.raises(ValueError, match=r"expected one variable with the end of ema/model/.*found another"):
        object_detection_tf2.from_tensorflow_2(
            {name: np.ones((3, 3, 3, 32)), f"ema/{name}": np.ones((3, 3, 3, 32))}
        )


def test_another_network_is_refused(tmp_path):
    features = {f"layer_with_weights-{i}": layer({"kernel": np.ones((1, 1, 2, 2))}) for i in range(3)}
    extractor = Node(classification_backbone=Node(**features))
    path = Node(model=Node(_feature_extractor=extractor)).write(str(tmp_path / "ckpt-0"))
    with pytest.raises(
        ValueError, match=r"27 or 52 convolutions in the backbone, found 3; for another network pass names"
    ):
        mb.load_weights(mb.SSDMobileNet(2, alpha=0.05), f"{path}.index")
