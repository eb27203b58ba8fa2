"""AnchorBoxes: the anchors as a tensor in the graph, next to the predictions that they belong to."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from ..anchors import AnchorSpec, as_spec
from ..arguments import check_arguments


@keras.saving.register_keras_serializable(package="multibox")
class AnchorBoxes(keras.layers.Layer):
    """Constant (1, num_anchors, 8) float32: cx, cy, w, h relative to the image, then the four variances.

    Input: predictions (batch, num_anchors, ...), of which only the number of anchors is checked.
    Caffe's PriorBox layers output the same numbers, with boxes as corners.

    Args:
        anchors: an `AnchorSpec` (or its config).

    Raises:
        ValueError: if the predictions have another number of anchors than the spec.
    """

    def __init__(self, anchors: AnchorSpec | dict[str, Any], **kwargs):
        check_arguments(AnchorBoxes.__init__, locals())
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.anchors = as_spec(anchors)

    def build(self, input_shape):
        if input_shape[1] != self.anchors.num_anchors:
            raise ValueError(
                f"{self.name}: the spec has {self.anchors.num_anchors} anchors, "
                f"the predictions {input_shape[1]} (shape {tuple(input_shape)})"
            )

    def call(self, inputs):
        anchors = self.anchors.cxcywh
        variances = np.broadcast_to(self.anchors.variances, anchors.shape)
        return ops.convert_to_tensor(np.concatenate([anchors, variances], axis=1)[None], "float32")

    def compute_output_shape(self, input_shape):
        return (1, self.anchors.num_anchors, 8)

    def get_config(self):
        return {**super().get_config(), "anchors": self.anchors.get_config()}
