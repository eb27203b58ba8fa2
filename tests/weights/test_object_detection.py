"""Frozen graphs of the TensorFlow Object Detection API in SSDMobileNet."""

import json

import numpy as np
import pytest
from foreign_files import frozen_graph, write_checkpoint
from golden_mobilenet import FOLDER, our_name, stored_weights, trained_model
from object_detection_api import yxhw

import multibox as mb

OUTER = "FeatureExtractor/MobilenetV1/"
SOURCES = ("conv_pw_11", "conv_pw_13", "extra1", "extra2", "extra3", "extra4")
CONFIG = """model { ssd {
  image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
  box_coder { faster_rcnn_box_coder { x_scale: 10 } }
  anchor_generator { ssd_anchor_generator { aspect_ratios: [1, 2, 0.5, 3, 0.3333] } }
} }
"""
NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@pytest.fixture(scope="module")
def model():
    return mb.SSDMobileNet(2, alpha=0.05, min_depth=4)


def theirs(ours):
    """The name of a layer in a graph, as the API writes it."""
    if "_mbox_" in ours:
        level = SOURCES.index(ours.rpartition("_mbox_")[0])
        return f"BoxPredictor_{level}/{'Class' if ours.endswith('conf') else 'BoxEncoding'}Predictor"
    if ours.startswith("extra"):
        part = "1_Conv2d_{}_1x1_64" if ours.endswith("reduce") else "2_Conv2d_{}_3x3_s2_128"
        return f"{OUTER}Conv2d_13_pointwise_{part.format(int(ours[5]) + 1)}"
    if ours == "conv1":
        return f"{OUTER}MobilenetV1/Conv2d_0"
    _, kind, number = ours.split("_")
    return f"{OUTER}MobilenetV1/Conv2d_{number}_{'depthwise' if kind == 'dw' else 'pointwise'}"


def graph_of(model, gamma=True):
    """{name: array} as a graph has it, with other numbers than the model."""
    rng, state = np.random.default_rng(0), {}
    for layer in model.layers:
        for variable in layer.weights:
            array = rng.uniform(0.5, 2, variable.shape).astype(np.float32)
            name = theirs(layer.name.removesuffix("_bn"))
            if layer.name.endswith("_bn"):
                if variable.name != "gamma" or gamma:
                    state[f"{name}/BatchNorm/{variable.name}"] = array
            elif variable.name == "kernel":
                state[f"{name}/{'depthwise_weights' if name.endswith('depthwise') else 'weights'}"] = array
            else:
                state[f"{name}/biases"] = array
    return state


def load(model, tmp_path, state, **options):
    path = tmp_path / "frozen_inference_graph.pb"
    path.write_bytes(frozen_graph(state))
    return mb.load_weights(model, path, **options)


def test_with_batch_norm(tmp_path, model):
    state = graph_of(model) | {"Postprocessor/Anchors": np.zeros((2, 4), np.float32)}
    report = load(model, tmp_path, state)
    assert report.skipped == {"Postprocessor/Anchors": "not part of the detector"} and not report.left
    assert report.origin == "SSD MobileNet v1 of the TensorFlow Object Detection API"
    conv, norm = model.get_layer("conv_dw_3"), model.get_layer("conv_dw_3_bn")
    np.testing.assert_array_equal(conv.kernel, state[f"{theirs('conv_dw_3')}/depthwise_weights"])
    for name in NORM:
        np.testing.assert_array_equal(getattr(norm, name), state[f"{theirs('conv_dw_3')}/BatchNorm/{name}"])
    head = model.get_layer("extra2_mbox_loc")
    np.testing.assert_array_equal(head.kernel, yxhw(state["BoxPredictor_3/BoxEncodingPredictor/weights"]))
    np.testing.assert_array_equal(head.bias, yxhw(state["BoxPredictor_3/BoxEncodingPredictor/biases"]))
    head = model.get_layer("extra2_mbox_conf")
    np.testing.assert_array_equal(head.kernel, state["BoxPredictor_3/ClassPredictor/weights"])


def test_without_gamma_it_is_one(tmp_path, model):
    load(model, tmp_path, graph_of(model, gamma=False))
    np.testing.assert_array_equal(model.get_layer("conv1_bn").gamma, 1)


def test_what_does_not_fit_is_refused(tmp_path, model):
    state = graph_of(model)
    with pytest.raises(ValueError, match=r"BatchNorm of conv1, found it without moving_mean"):
        load(
            model,
            tmp_path,
            {k: v for k, v in state.items() if not k.endswith("Conv2d_0/BatchNorm/moving_mean")},
        )
    with pytest.raises(ValueError, match="expected a kernel and a bias for conv1"):
        load(model, tmp_path, {k: v for k, v in state.items() if not k.endswith("Conv2d_0/weights")})
    with pytest.raises(
        ValueError, match=r"expected SSD MobileNet v1 or v2, .*for another network pass names"
    ):
        load(model, tmp_path, {"a/weights": np.zeros((1, 2), np.float32)})
    folded = mb.SSDMobileNet(2, alpha=0.05, min_depth=4, batch_norm=False)
    with pytest.raises(ValueError, match=r"build the model with batch_norm=True"):
        load(folded, tmp_path, state)


def test_names_of_one_file(tmp_path, model):
    """Each layer by the name of the caller, as for a network that is not known."""
    state = graph_of(model)

    def names(ours):
        name = theirs(ours.removesuffix("_bn"))
        return f"{name}/BatchNorm" if ours.endswith("_bn") else name

    report = load(model, tmp_path, state, names=names)
    assert not report.left and not report.skipped


def test_a_checkpoint_of_a_training(tmp_path, model):
    """It also has the slots of the optimizer."""
    state = graph_of(model)
    kernel = f"{theirs('conv1')}/weights"
    slots = {f"{kernel}/RMSProp": state[kernel] + 1, "global_step": np.array(7, np.int64)}
    report = mb.load_weights(model, write_checkpoint(tmp_path / "model.ckpt-7", state | slots))
    assert set(report.skipped) == set(slots) and not report.left
    np.testing.assert_array_equal(model.get_layer("conv1").kernel, state[kernel])


def test_weights_are_compared_with_the_anchors_beside_them(tmp_path, model):
    state, config = graph_of(model), tmp_path / "pipeline.config"
    config.write_text(CONFIG)
    assert not load(model, tmp_path, state).left
    config.write_text(CONFIG.replace("x_scale: 10", "x_scale: 20"))
    with pytest.raises(ValueError, match=r"with the anchors of .*pipeline\.config \(multibox"):
        load(model, tmp_path, state)
    other = mb.SSDMobileNet(2, alpha=0.05, min_depth=4, anchors=mb.anchors.pipeline_anchors(config))
    assert not load(other, tmp_path, state).left


def test_trained_weights_with_folded_batch_norm(golden, tmp_path):
    """As TensorFlow's tool that folds BatchNorm names them."""
    folder, expected = golden / FOLDER, trained_model(golden)
    layer_map, state = json.loads((folder / "layer_map.json").read_text()), {}
    weights = stored_weights(folder)
    for layer in layer_map["layers"]:
        ours, inner = our_name(layer["layer"]), layer["layer"]
        kernel, bias = weights[ours]
        if "_mbox_" in ours:
            turn = yxhw if ours.endswith("loc") else lambda array: array
            state |= {f"{inner}/weights": turn(kernel), f"{inner}/biases": turn(bias)}
        else:
            name = f"{OUTER}{'' if ours.startswith('extra') else 'MobilenetV1/'}{inner}"
            operation = "depthwise" if ours.startswith("conv_dw") else "Conv2D"
            state |= {f"{name}/{operation}_weights": kernel, f"{name}/{operation}_bn_offset": bias}
    model = mb.SSDMobileNet(90, alpha=0.75, batch_norm=False)
    report = load(model, tmp_path, state)
    assert not report.left and not report.skipped
    for ours, reference in zip(model.weights, expected.weights, strict=True):
        np.testing.assert_array_equal(ours, reference)
