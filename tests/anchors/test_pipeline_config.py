"""`pipeline_anchors`: the file as the TensorFlow Object Detection API writes it."""

import numpy as np
import pytest

from multibox.anchors import SSD_MOBILENET_V1, pipeline_anchors
from multibox.anchors.text_message import parse_text_message

CONFIG = """# SSD with Mobilenet v1
model {
  ssd {
    num_classes: 90
    image_resizer {
      fixed_shape_resizer {
        height: 300
        width: 300
      }
    }
    feature_extractor {
      type: "ssd_mobilenet_v1"
      conv_hyperparams { batch_norm { decay: 0.9997, epsilon: 0.001, } }
    }
    box_coder {
      faster_rcnn_box_coder {
        y_scale: 10.0
        x_scale: 10.0
        height_scale: 5.0
        width_scale: 5.0
      }
    }
    anchor_generator {
      ssd_anchor_generator {
        num_layers: 6
        min_scale: 0.20000000298
        max_scale: 0.949999988079
        aspect_ratios: 1.0
        aspect_ratios: 2.0
        aspect_ratios: 0.5
        aspect_ratios: 3.0
        aspect_ratios: 0.333299994469
      }
    }
  }
}
train_config: { batch_size: 24 }  # the end
"""


def written(tmp_path, *changes):
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "pipeline.config").write_text(text)
    return tmp_path / "pipeline.config"


def test_the_published_one_is_ours(tmp_path):
    found = pipeline_anchors(written(tmp_path))
    assert found.image_size == (300, 300) and found.variances == (0.1, 0.1, 0.2, 0.2)
    np.testing.assert_allclose(found.cxcywh, SSD_MOBILENET_V1.cxcywh, rtol=0, atol=1e-6)


def test_other_numbers(tmp_path):
    """Three levels of an image of 64 x 96: 4 x 6, 2 x 3, 1 x 2 cells."""
    changes = [("height: 300", "height: 64"), ("width: 300", "width: 96"), ("num_layers: 6", "num_layers: 3")]
    changes += [("0.20000000298", "0.25"), ("0.949999988079", "0.75"), ("x_scale: 10.0", "x_scale: 20")]
    changes += [("num_layers", "reduce_boxes_in_lowest_layer: false num_layers")]
    changes += [("aspect_ratios: 3.0", ""), ("aspect_ratios: 0.333299994469", "")]
    spec = pipeline_anchors(written(tmp_path, *changes))
    assert [level.grid for level in spec.levels] == [(4, 6), (2, 3), (1, 2)]
    root, middle = np.sqrt(2), np.sqrt(0.25 * 0.5)
    expected = [(16, 16), (16 * root, 16 / root), (16 / root, 16 * root), (64 * middle, 64 * middle)]
    np.testing.assert_allclose(spec.levels[0].sides, expected)
    assert spec.variances == (0.05, 0.1, 0.2, 0.2)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "ssd_anchor_generator",
            "multiscale_anchor_generator",
            "with ssd_anchor_generator, found multiscale",
        ),
        ("fixed_shape_resizer", "keep_aspect_ratio_resizer", "with fixed_shape_resizer, found keep_aspect"),
        ("num_layers: 6", "num_layers: 600", "num_layers must be 2 to 12, got 600"),
        ("num_layers: 6", "height_stride: 16", "ssd_anchor_generator: height_stride is not supported"),
        ("min_scale: 0.20000000298", "min_scale: nan", "min_scale: expected a positive number, got nan"),
        ("x_scale: 10.0", "x_scale: {}", "x_scale: expected a positive number"),
        ("height: 300", "height: 3000000", "image_size"),
        ("model {", "model = {", "line 2: not a field of a text message"),
        ("train_config: {", "}", "line 37: unexpected '}'"),
        ("batch_size: 24 }", "batch_size: 24", "the end inside a message"),
    ],
)
def test_refused(tmp_path, old, new, words):
    path = written(tmp_path, (old, new))
    with pytest.raises(ValueError, match=words) as error:
        pipeline_anchors(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_forms_of_the_text():
    found = parse_text_message("a: [1, 2] b < c: 'x y' > d { e: -1.5e-3; } a: 3 # end")
    assert found == {"a": ["1", "2", "3"], "b": [{"c": ["x y"]}], "d": [{"e": ["-1.5e-3"]}]}
    with pytest.raises(ValueError, match="line 1"):
        parse_text_message("a {" * 100)
