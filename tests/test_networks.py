import keras
import pytest

import multibox as mb
from multibox.models import ssd_mobilenet, ssdlite
from multibox.models.unallocated import unallocated_weights
from multibox.networks import BACKBONES, NAMED_ANCHORS, NETWORKS, find_network, named_anchors


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "ssd512"])  # that one takes long
def test_a_network_builds_with_the_anchors_of_its_row(name):
    network = NETWORKS[name]
    with unallocated_weights():
        model = network.function(1)
    assert model.name == name.replace("-", "_")
    assert model.input_shape == (None, *network.image_size, 3)
    assert mb.anchors_of(model) == network.anchors == named_anchors(name)
    keras.backend.clear_session()


def test_backbones():
    assert all(hasattr(keras.applications, name) for name in BACKBONES["ssd"])
    assert BACKBONES["ssdlite"] == tuple(ssdlite.BACKBONES)
    assert BACKBONES["ssd-mobilenet"] == tuple(ssd_mobilenet.NAMES)


def test_the_table():
    assert {name: network.function for name, network in NETWORKS.items()} == {
        "ssd300": mb.SSD300,
        "ssd512": mb.SSD512,
        "ssdlite": mb.SSDLite,
        "ssd-mobilenet": mb.SSDMobileNet,
        "ssd7": mb.SSD7,
        "ssd321": mb.SSD321,
        "ssd513": mb.SSD513,
        "dssd321": mb.DSSD321,
    }
    specs = {name: named_anchors(name) for name in NAMED_ANCHORS}
    assert {name: (spec.image_size, spec.num_anchors) for name, spec in specs.items()} == {
        "ssd300": ((300, 300), 8732),
        "ssd512": ((512, 512), 24564),
        "ssdlite": ((320, 320), 3234),
        "ssd-mobilenet": ((300, 300), 1917),
        "ssd7": ((300, 300), 4 * (38**2 + 19**2 + 10**2 + 5**2)),
        "ssd321": ((321, 321), 17080),
        "ssd513": ((513, 513), 43688),
        "dssd321": ((321, 321), 17080),
        "ssd300-coco": ((300, 300), 8732),
        "ssd512-coco": ((512, 512), 24564),
    }


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("ssd512", mb.anchors.SSD512_VOC),
        ("ssd300_coco", mb.anchors.SSD300_COCO),
        ("ssd512-coco", mb.anchors.SSD512_COCO),
        ("ssdlite320", mb.anchors.SSDLITE320),
        ("ssd_mobilenet", mb.anchors.SSD_MOBILENET_V1),
        ("ssd300:300x300", mb.anchors.SSD300_VOC),
        ("ssd7:240x320", mb.anchors.ssd7_anchors((240, 320))),
        ("ssd-mobilenet:480x640", mb.anchors.ssd_mobilenet_anchors((480, 640))),
        ("ssd_mobilenet:480x640", mb.anchors.ssd_mobilenet_anchors((480, 640))),
        ("ssd300:480x640", mb.anchors.ssd300_anchors((480, 640))),
        (
            "ssd300_coco:480x640",
            mb.anchors.ssd300_anchors((480, 640), (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)),
        ),
        ("dssd321:480x640", mb.anchors.ssd321_anchors((480, 640))),
        ("ssd512:480x640", mb.anchors.ssd512_anchors((480, 640))),
        ("ssdlite:480x640", mb.anchors.ssdlite_anchors((480, 640))),
    ],
)
def test_names_of_anchors(name, spec):
    assert named_anchors(name) == spec


@pytest.mark.parametrize("name", ["ssd7:48x64", "ssd-mobilenet:64x96"])
def test_a_model_takes_the_anchors_of_another_size(name):
    spec = named_anchors(name)
    model = find_network(name.partition(":")[0]).function(2, anchors=spec)
    assert model.input_shape == (None, *spec.image_size, 3)
    assert model.output_shape == (None, spec.num_anchors, 4 + 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ssd8", "no anchors 'ssd8'; there are ssd300, ssd512, ssdlite, ssd-mobilenet, ssd7, ssd321, "),
        ("", "no anchors ''"),
        ("ssd7:99999x99999", "ssd7:99999x99999: expected sides of 32 to 4096 pixels"),
        ("ssd7:2x2", "ssd7:2x2: expected sides of 32 to 4096 pixels"),
        ("ssd7:", "expected HEIGHTxWIDTH after the colon, such as 240x320, got ''"),
        ("ssd7:300", "expected HEIGHTxWIDTH after the colon, such as 240x320, got '300'"),
        ("ssd300:256x300", "ssd300_anchors: each side must have at least 257 pixels, got 256x300"),
        ("ssd512-coco:300x100", "ssd512_anchors: each side must have at least 257 pixels, got 300x100"),
    ],
)
def test_names_that_have_no_anchors(name, message):
    with pytest.raises(ValueError, match=message):
        named_anchors(name)


def test_names_of_networks():
    assert find_network("ssd_mobilenet") is find_network("ssd-mobilenet") is NETWORKS["ssd-mobilenet"]
    assert find_network("ssdlite320") is NETWORKS["ssdlite"]
    with pytest.raises(ValueError, match="no network 'ssd300_coco'; there are ssd300, "):
        find_network("ssd300_coco")
