"""Numbers that would fill the memory are refused, with the argument, the value and the limit."""

import numpy as np
import pytest

import multibox as mb
from multibox.layers import DecodeDetections, MultiBox

HUGE = 10**9
SIZE = (64, 64)
NETWORKS = (
    *(mb.SSD300, mb.SSD512, mb.SSDLite, mb.SSDMobileNet, mb.SSD7),
    *(mb.SSD321, mb.SSD513, mb.DSSD321),
)
ANCHORS = mb.anchors.ssd7_anchors(SIZE)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda function: function.__name__)
def test_networks(network):
    with pytest.raises(ValueError, match=f"{network.__name__}: num_classes must be at most 10000, got"):
        network(HUGE)
    with pytest.raises(ValueError, match="num_classes must be at most 10000, got 10001"):
        network(class_names=[str(i) for i in range(10_001)])
    with pytest.raises(ValueError, match=rf"image_size: got \({HUGE}, 300\), each side must be at most"):
        network(2, image_size=(HUGE, 300))
    with pytest.raises(ValueError, match=r"number of anchors of all levels must be at most 5000000, got \d+"):
        network(2, image_size=(60_000, 60_000))


@pytest.mark.parametrize("network", [mb.SSDLite, mb.SSDMobileNet])
def test_widths(network):
    with pytest.raises(ValueError, match=rf"{network.__name__}: alpha must be at most 16, got 1000000000\.0"):
        network(2, alpha=1e9)
    with pytest.raises(ValueError, match=f"min_depth must be at most 4096, got {HUGE}"):
        network(2, min_depth=HUGE)


def test_decoding():
    model = mb.SSD7(2, image_size=SIZE)
    for options in ({"max_detections": HUGE}, {"max_candidates": HUGE}):
        name = next(iter(options))
        message = f"{name} must be at most 100000, got {HUGE}"
        with pytest.raises(ValueError, match=f"to_inference: {message}"):
            mb.to_inference(model, **options)
        with pytest.raises(ValueError, match=f"DecodeDetections: {message}"):
            DecodeDetections(**options)
        with pytest.raises(ValueError, match=message):
            mb.SSD7(2, image_size=SIZE, mode="inference", **options)
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="max_detections must be at most"):
        mb.to_inference(model, top_k=HUGE)
    assert mb.to_inference(model, max_detections=100_000).output_shape == (None, 100_000, 6)


def test_anchors():
    level = mb.anchors.AnchorLevel((10**6, 10**6), ((8.0, 8.0),), (1.0, 1.0))
    with pytest.raises(ValueError, match=r"anchors of all levels must be at most 5000000, got 10{12}"):
        mb.AnchorSpec((300, 300), (level,))
    with pytest.raises(ValueError, match="AnchorSpec: the number of anchors"):
        mb.AnchorSpec.from_config(
            {
                "image_size": [300, 300],
                "variances": [0.1] * 4,
                "levels": [{"grid": [10**6, 10**6], "sides": [[8.0, 8.0]], "step": [1.0, 1.0]}],
            }
        )
    assert mb.anchors.ssd300_anchors((4096, 4096)).num_anchors == 1_594_448


def test_classes():
    for make in (mb.GroundTruthEncoder, MultiBox):
        with pytest.raises(ValueError, match=f"{make.__name__}: num_classes must be at most 10000, got"):
            make(ANCHORS, HUGE)
    model = mb.SSD7(2, image_size=SIZE)
    with pytest.raises(ValueError, match="sample_classes: the number of classes must be at most 10000"):
        mb.sample_classes(model, [1, *(str(i) for i in range(10_000))], strict=False)


def test_data():
    data = mb.load_shapes(2, SIZE)
    for options in ({"batch_size": 65_537}, {"workers": 1025}, {"max_queue_size": 1025}):
        ((name, value),) = options.items()
        arguments = {"batch_size": 2, **options}
        with pytest.raises(ValueError, match=f"DataGenerator: {name} must be at most {value - 1}, got"):
            mb.DataGenerator(data, transform=mb.resize_only(SIZE), **arguments)
    with pytest.raises(ValueError, match="the sum of repeat_factors must be at most 268435456, got"):
        mb.DataGenerator(data, 2, mb.resize_only(SIZE), repeat_factors=np.array([1e9, 1.0]))
    with pytest.raises(ValueError, match=f"load_shapes: num_images must be at most 10000000, got {HUGE}"):
        mb.load_shapes(HUGE)
    with pytest.raises(ValueError, match="each side must be at most 65535, got"):
        mb.load_shapes(2, (HUGE, 60))
    with pytest.raises(ValueError, match="each side must be at most 65535, got"):
        mb.ssd_augmentation((300, HUGE))


def test_plots():
    data = mb.load_shapes(2, SIZE)
    with pytest.raises(ValueError, match=f"plot_detection_grid: columns must be at most 100, got {HUGE}"):
        mb.plot_detection_grid(data, columns=HUGE)
    with pytest.raises(ValueError, match=f"plot_samples: draws must be at most 100, got {HUGE}"):
        mb.plot_samples(data, mb.resize_only(SIZE), draws=HUGE)
