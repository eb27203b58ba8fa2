"""`DecodeDetections` in operators of ONNX: from offsets and logits to detections."""

from __future__ import annotations

from typing import NamedTuple

from ..anchors import AnchorSpec
from ..boxes import MAX_LOG_SIDE
from ..layers import DecodeDetections
from .graph import Graph


class Decoder(NamedTuple):
    """Adds the steps of a `DecodeDetections` layer to a graph.

    A group is what one NMS runs over: the boxes of one class, or with `class_agnostic` all of them.

    Attributes:
        graph: the `Graph`.
        anchors: the `AnchorSpec`.
        layer: the layer.
        num_classes: number of object classes.
    """

    graph: Graph
    anchors: AnchorSpec
    layer: DecodeDetections
    num_classes: int

    @property
    def groups(self) -> int:
        return 1 if self.layer.class_agnostic else self.num_classes

    @property
    def candidates(self) -> int:
        """Number of boxes of a group that enter NMS."""
        return min(self.layer.max_candidates, self.anchors.num_anchors)

    def add(self, offsets: str, logits: str) -> str:
        """Adds all steps.

        Args:
            offsets: name of (batch, num_anchors, 4).
            logits: name of (batch, num_anchors, 1 + num_classes).

        Returns:
            The name "detections" of (batch, max_detections, 6).
        """
        graph = self.graph
        scores, classes = self._scores(logits)
        scores, index = graph.add_many("TopK", 2, scores, graph.integers([self.candidates]), axis=-1)
        index = graph.add("Reshape", index, graph.integers([0, self.groups * self.candidates, 1]))
        boxes = graph.add("GatherND", self._boxes(offsets), index, batch_dims=1)
        count = min(self.layer.max_detections, self.groups * self.candidates)
        kept = self._kept(boxes, scores)
        scores, place = graph.add_many("TopK", 2, kept, graph.integers([count]), axis=-1)
        place = graph.add("Unsqueeze", place, graph.integers([-1]))
        boxes = graph.add("GatherND", boxes, place, batch_dims=1)
        if classes is None:  # the candidates go class by class
            classes = graph.add("Div", place, graph.integers(self.candidates))
        else:
            for where in (index, place):
                classes = graph.add("GatherND", classes, where, batch_dims=1)
            classes = graph.add("Unsqueeze", classes, graph.integers([-1]))
        return self._rows(classes, scores, boxes, count)

    def _boxes(self, offsets):
        """(batch, num_anchors, 4) xyxy, as `decode_offsets`."""
        graph, anchors = self.graph, self.anchors.cxcywh[None]
        sides = graph.floats(anchors[..., 2:])
        scaled = graph.add("Mul", offsets, graph.floats(self.anchors.variances))
        shift, growth = graph.add_many("Split", 2, scaled, graph.integers([2, 2]), axis=-1)
        centers = graph.add("Add", graph.floats(anchors[..., :2]), graph.add("Mul", shift, sides))
        growth = graph.add("Exp", graph.add("Min", growth, graph.floats(MAX_LOG_SIDE)))
        half = graph.add("Mul", growth, graph.floats(anchors[..., 2:] / 2))
        low, high = graph.add("Sub", centers, half), graph.add("Add", centers, half)
        return graph.add("Concat", low, high, axis=-1)

    def _scores(self, logits):
        """Scores (batch, groups, num_anchors); and the best class of each anchor if there is one group."""
        graph = self.graph
        softmax = self.layer.activation == "softmax"
        scores = graph.add("Softmax", logits, axis=-1) if softmax else graph.add("Sigmoid", logits)
        first, last, axis = (graph.integers([n]) for n in (1, 1 + self.num_classes, 2))
        scores = graph.add("Slice", scores, first, last, axis)
        if not self.layer.class_agnostic:
            return graph.add("Transpose", scores, perm=[0, 2, 1]), None
        best = graph.add("ReduceMax", scores, axes=[2], keepdims=0)
        classes = graph.add("ArgMax", scores, axis=2, keepdims=0)
        return graph.add("Unsqueeze", best, graph.integers([1])), classes

    def _kept(self, boxes, scores):
        """(batch, groups * candidates): the scores that NMS keeps, and 0 in place of the others."""
        graph, candidates, layer = self.graph, self.candidates, self.layer
        boxes = graph.add("Reshape", boxes, graph.integers([-1, candidates, 4]))
        selected = graph.add(
            "NonMaxSuppression",
            boxes,
            graph.add("Reshape", scores, graph.integers([-1, 1, candidates])),
            graph.integers([candidates]),
            graph.floats([layer.iou_threshold]),
            graph.floats([layer.confidence_threshold]),
        )
        scores = graph.add("Reshape", scores, graph.integers([-1, candidates]))
        selected = graph.add("Gather", selected, graph.integers([0, 2]), axis=1)  # group and candidate
        nothing = graph.add("ConstantOfShape", graph.add("Shape", scores))
        kept = graph.add("ScatterND", nothing, selected, graph.add("GatherND", scores, selected))
        return graph.add("Reshape", kept, graph.integers([-1, self.groups * candidates]))

    def _rows(self, classes, scores, boxes, count):
        """Joins the columns; rows without a score become zero, and zero rows fill up to max_detections."""
        graph, missing = self.graph, self.layer.max_detections - count
        scores = graph.add("Unsqueeze", scores, graph.integers([-1]))
        found = graph.add("Cast", graph.add("Greater", scores, graph.floats(0.0)), to=1)
        ids = graph.add("Cast", graph.add("Add", classes, graph.integers(1)), to=1)
        columns = (graph.add("Mul", ids, found), scores, graph.add("Mul", boxes, found))
        rows = graph.add("Concat", *columns, axis=-1, name="joined" if missing else "detections")
        if not missing:
            return rows
        return graph.add("Pad", rows, graph.integers([0, 0, 0, 0, missing, 0]), name="detections")
