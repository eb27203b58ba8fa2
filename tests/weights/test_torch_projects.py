"""SSD300 and SSD512 by the names of projects for torch. The arrays are small: only names and order count."""

import re
from pathlib import Path

import numpy as np
import pytest
from foreign_files import write_onnx, write_pth
from torch_names import PROJECTS

import multibox
from multibox.weights.mapping import map_weights

CLASSES, ANCHORS = 3, 2  # of a cell


def state_of(project):
    """{name: array}, each array with other numbers."""
    names, norm = PROJECTS[project]
    state = {norm: np.full(5, -1, np.float32)}
    for number, (ours, theirs) in enumerate(names.items()):
        outputs = {"loc": 4 * ANCHORS, "onf": (1 + CLASSES) * ANCHORS}.get(ours[-3:], 2)
        kernel = 100 * number + np.arange(outputs * 6, dtype=np.float32).reshape(outputs, 1, 2, 3)
        state |= {f"{theirs}.weight": kernel, f"{theirs}.bias": 100 * number + np.arange(outputs, dtype="f4")}
    return state


@pytest.mark.parametrize("write", [write_pth, write_onnx])
@pytest.mark.parametrize("project", PROJECTS)
def test_every_layer_has_its_arrays(tmp_path, project, write):
    names, norm = PROJECTS[project]
    state = state_of(project)
    mapped = map_weights(write(tmp_path / "x", state))
    assert not mapped.unused and set(mapped.layers) == {*names, "conv4_3_norm"}
    np.testing.assert_array_equal(mapped.layers["conv4_3_norm"], [state[norm]])
    for ours, theirs in names.items():
        kernel, bias = mapped.layers[ours]
        expected = state[f"{theirs}.weight"].transpose(2, 3, 1, 0), state[f"{theirs}.bias"]
        if project == "mmdetection" and ours.endswith("conf"):  # background is the last of four classes
            expected = [array[..., [3, 0, 1, 2, 7, 4, 5, 6]] for array in expected]
        np.testing.assert_array_equal(kernel, expected[0])
        np.testing.assert_array_equal(bias, expected[1])


def test_pixels(tmp_path):
    means = {
        project: map_weights(write_pth(tmp_path / "x", state_of(project))).pixels["mean"]
        for project in ("pytorch-ssd", "lufficc", "mmdetection")
    }
    assert means["pytorch-ssd"] == means["lufficc"] == (123.0, 117.0, 104.0)
    assert means["mmdetection"] == (123.675, 116.28, 103.53)


def test_other_networks_are_refused(tmp_path):
    """An SSDLite of the same project, and mmdetection before 2.14, whose order of classes is not known."""
    old = {"backbone.features.0.weight", "bbox_head.cls_convs.0.weight", "backbone.l2_norm.weight"}
    lite = {"backbone.features.0.0.weight", "box_head.predictor.cls_headers.0.0.weight"}
    for names in (old, lite):
        path = write_pth(tmp_path / "x", dict.fromkeys(sorted(names), np.zeros((1, 1), np.float32)))
        with pytest.raises(ValueError, match=r"or mmdetection, .* for another network pass names") as error:
            map_weights(path)
        (example,) = re.findall(r"examples/\w+\.py", str(error.value))
        assert (Path(multibox.__file__).parent / example).is_file()


def test_classes_that_do_not_fit_the_anchors(tmp_path):
    state = state_of("mmdetection")
    state["bbox_head.cls_convs.1.0.weight"] = np.zeros((7, 1, 2, 3), np.float32)
    with pytest.raises(ValueError, match="expected the classes of 2 anchors in the heads of fc7"):
        map_weights(write_pth(tmp_path / "x", state))
