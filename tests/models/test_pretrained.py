from importlib import import_module

import numpy as np
import pytest

import multibox as mb
from multibox.class_names import COCO_NAMES_BY_ID
from multibox.weights import loading
from multibox.weights.download import DownloadError
from multibox.weights.published import SOURCES

FUNCTIONS = import_module("multibox.models.pretrained").FUNCTIONS  # the package holds the function
DETECTORS = ("ssd300_coco", "ssdlite_coco", "ssd_mobilenet_coco")


@pytest.fixture
def weights(golden, monkeypatch):
    """The published SSD MobileNet without a download."""
    file = golden / "ssd_mobilenet_v1_coco" / "ssd_mobilenet.tflite"
    monkeypatch.setattr(loading, "fetch_source", lambda source: file)


def test_the_model_detects_and_knows_its_classes(weights, golden):
    data = np.load(golden / "ssd_mobilenet_v1_coco" / "golden.npz")
    model = mb.pretrained("ssd_mobilenet_coco")
    assert mb.class_names_of(model) == COCO_NAMES_BY_ID[1:]
    found = mb.detect(model, list(data["images"]))
    names = {d.class_name for detections in found for d in detections}
    assert names and names <= set(mb.COCO_CLASSES)


def test_own_classes_keep_what_coco_knows(weights):
    model = mb.pretrained("ssd_mobilenet_coco", class_names=("tvmonitor", "robot", "dog"), seed=1)
    whole = mb.pretrained("ssd_mobilenet_coco")
    assert mb.class_names_of(model) == ("tvmonitor", "robot", "dog")
    picture = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 3), np.uint8)
    ours, theirs = (m.predict(picture, verbose=0)[0] for m in (model, whole))
    ids = [COCO_NAMES_BY_ID.index(name) for name in ("tv", "dog")]
    np.testing.assert_allclose(ours[:, [5, 7]], theirs[:, [4 + i for i in ids]], atol=1e-4)
    # The new class starts as rare as any class of a fresh model.
    assert ours[:, 6].mean() < -3


def test_classes_that_coco_knows_nothing_of(weights):
    model = mb.pretrained("ssd_mobilenet_coco", class_names=("WBC", "RBC"))
    assert mb.class_names_of(model) == ("WBC", "RBC")


@pytest.mark.filterwarnings("error::UserWarning")
def test_own_anchors(weights):
    anchors = mb.anchors.ssd_mobilenet_anchors((160, 200), min_scale=0.1, max_scale=0.8)
    model = mb.pretrained("ssd_mobilenet_coco", anchors=anchors)
    assert mb.anchors_of(model) == anchors
    whole = mb.pretrained("ssd_mobilenet_coco", image_size=(160, 200))
    for found, expected in zip(model.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"image_size is \(96, 96\), but the anchors are for \(160, 200\)"):
        mb.pretrained("ssd_mobilenet_coco", anchors=anchors, image_size=(96, 96))


def test_heads_for_another_number_of_anchors_are_initialized(weights):
    grids = [level.grid for level in mb.anchors.ssd_mobilenet_anchors((160, 200)).levels]
    anchors = mb.anchors.paper_anchors((160, 200), grids)  # six in each cell of the first level, too
    model = mb.pretrained("ssd_mobilenet_coco", anchors=anchors, class_names=("dog",))
    whole = mb.pretrained("ssd_mobilenet_coco", class_names=("dog",))
    same = {
        layer.name
        for layer in whole.layers
        if layer.name.endswith("_mbox_loc")
        and all(map(np.array_equal, layer.get_weights(), model.get_layer(layer.name).get_weights()))
    }
    every = {layer.name for layer in whole.layers if layer.name.endswith("_mbox_loc")}
    assert every - same == {"conv_pw_11_mbox_loc"}


def test_the_seed_decides_about_new_heads(weights):
    grids = [level.grid for level in mb.anchors.ssd_mobilenet_anchors((160, 200)).levels]
    options = {"anchors": mb.anchors.paper_anchors((160, 200), grids), "class_names": ("dog",)}
    first, again, other = (
        mb.pretrained("ssd_mobilenet_coco", seed=seed, **options)
        .get_layer("conv_pw_11_mbox_loc")
        .get_weights()
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first[0], again[0])
    assert np.abs(first[0] - other[0]).max() > 1e-3
    assert first[0].std() == pytest.approx(0.03, rel=0.1) and not first[1].any()


@pytest.mark.parametrize("name", DETECTORS)
def test_the_table_holds_the_arguments_that_the_weights_want(name, monkeypatch):
    called = {}

    def build(**arguments):
        called.update(arguments)

    source = SOURCES[name]
    assert source.function in FUNCTIONS
    monkeypatch.setitem(FUNCTIONS, source.function, build)
    mb.pretrained(name)
    assert called == {
        **{"class_names": COCO_NAMES_BY_ID[1:], "weights": "coco", "channels": 3},
        **source.arguments,
    }
    assert called["num_classes"] == 90


def test_unknown_names_are_listed():
    with pytest.raises(ValueError, match=f"name must be one of {', '.join(DETECTORS)}, got 'ssd'"):
        mb.pretrained("ssd")
    with pytest.raises(ValueError, match=r"name must be one of .*, got 'vgg16_imagenet'"):
        mb.pretrained("vgg16_imagenet")


def test_without_a_network_the_error_says_where_to_put_the_file(monkeypatch):
    def offline(source):
        raise DownloadError("put the file at x")

    monkeypatch.setattr(loading, "fetch_source", offline)
    with pytest.raises(DownloadError, match="put the file at x"):
        mb.pretrained("ssd_mobilenet_coco")
