"""`DecodeDetections` in operators of ONNX: from offsets and logits to detections."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from onnx import TensorProto

from ..anchors import AnchorSpec
from ..boxes import MAX_LOG_SIDE
from ..layers import DecodeDetections
from .graph import Graph

# How many of the best scores are tried first, for each detection that is wanted: NMS drops most of them. On
# 64 photographs, 200 detections of SSD MobileNet with 20 classes needed the best 281 to 1689 scores, 95 % of
# them less than 1400. More cost more time on every image, fewer lead to the slow way more often.
TRIED = 8
FLOAT, BOOL = TensorProto.FLOAT, TensorProto.BOOL


class Found(NamedTuple):
    """Detections by descending score, as names of tensors. Those with the score 0 are padding.

    Attributes:
        boxes: (batch, count, 4) xyxy.
        scores: (batch, count).
        classes: (batch, count) float32, from 0.
    """

    boxes: str
    scores: str
    classes: str


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

    @property
    def count(self) -> int:
        """Number of detections, without rows that are always padding."""
        return min(self.layer.max_detections, self.groups * self.candidates)

    @property
    def tried(self) -> int:
        """Number of scores of all groups that are tried first."""
        return TRIED * self.layer.max_detections

    def add(self, offsets: str, logits: str) -> str:
        """Adds all steps.

        Args:
            offsets: name of (batch, num_anchors, 4).
            logits: name of (batch, num_anchors, 1 + num_classes).

        Returns:
            The name "detections" of (batch, max_detections, 6).
        """
        boxes = self._boxes(offsets)
        scores, classes = self._scores(logits)
        if self.groups == 1 or self.tried >= self.groups * self.candidates:
            return self._rows(self._of_each_group(boxes, scores, classes))
        found, enough = self._of_the_best(boxes, scores)
        ways = (lambda: found), (lambda: self._of_each_group(boxes, scores, classes))
        return self._rows(Found(*self.graph.add_if(enough, *ways)))

    def _of_the_best(self, boxes, scores):
        """NMS of the best scores of all classes together; and whether this gives all detections.

        NMS looks only at boxes with better scores. What it keeps of the best scores is therefore what it
        keeps of them among all scores.

        Returns:
            `Found`, and the name of a boolean: whether in each image all rows are filled, or no score above
            the threshold was left out.
        """
        graph = self.graph
        scores = graph.add("Reshape", scores, graph.integers([0, -1]))
        scores, index = self._top(scores, self.tried)  # of equal scores, that of the first class and anchor
        anchors = graph.integers(self.anchors.num_anchors)
        boxes = self._taken(boxes, graph.add("Mod", index, anchors))
        classes = graph.add("Div", index, anchors)
        kept = self._kept(scores, self._nms(boxes, self._by_class(scores, classes)))
        best, place = self._top(kept, self.count)
        classes = graph.add("Cast", self._taken(classes, place), to=FLOAT)
        filled = graph.add("Greater", self._last(best, self.count), graph.floats(0.0))
        threshold = graph.floats(self.layer.confidence_threshold)
        complete = graph.add("LessOrEqual", self._last(scores, self.tried), threshold)
        enough = graph.add("Cast", graph.add("Or", filled, complete), to=FLOAT)
        enough = graph.add("Cast", graph.add("ReduceMin", enough, keepdims=0), to=BOOL)
        return Found(self._taken(boxes, place), best, classes), enough

    def _by_class(self, scores, classes):
        """(batch, num_classes, tried): each score in the row of its class, and 0 in the other rows.

        The scores after the first `candidates` of a class are 0 too.
        """
        graph, one = self.graph, self.graph.integers([1])
        rows = graph.integers(np.arange(self.num_classes)[:, None])
        own = graph.add("Cast", graph.add("Equal", graph.add("Unsqueeze", classes, one), rows), to=FLOAT)
        each = graph.add("Mul", own, graph.add("Unsqueeze", scores, one))
        if self.candidates >= self.anchors.num_anchors:
            return each
        rank = graph.add("CumSum", own, graph.integers(2))
        enters = graph.add("LessOrEqual", rank, graph.floats(self.candidates))
        return graph.add("Mul", each, graph.add("Cast", enters, to=FLOAT))

    def _of_each_group(self, boxes, scores, classes):
        """`Found` by NMS of the best candidates of each group, as `DecodeDetections` works."""
        graph, candidates = self.graph, self.candidates
        scores, index = self._top(scores, candidates)
        index = graph.add("Reshape", index, graph.integers([0, self.groups * candidates]))
        boxes = self._taken(boxes, index)
        selected = self._nms(
            graph.add("Reshape", boxes, graph.integers([-1, candidates, 4])),
            graph.add("Reshape", scores, graph.integers([-1, 1, candidates])),
        )
        kept = self._kept(graph.add("Reshape", scores, graph.integers([-1, candidates])), selected)
        kept = graph.add("Reshape", kept, graph.integers([-1, self.groups * candidates]))
        best, place = self._top(kept, self.count)
        if classes is None:  # the candidates go class by class
            classes = graph.add("Div", place, graph.integers(candidates))
        else:
            classes = self._taken(self._taken(classes, index), place)
        return Found(self._taken(boxes, place), best, graph.add("Cast", classes, to=FLOAT))

    def _nms(self, boxes, scores):
        """Indices (batch, class, candidate) of what NMS keeps; as many of each group as rows can be."""
        graph, layer = self.graph, self.layer
        limit = graph.integers([min(self.candidates, layer.max_detections)])
        thresholds = (graph.floats([layer.iou_threshold]), graph.floats([layer.confidence_threshold]))
        return graph.add("NonMaxSuppression", boxes, scores, limit, *thresholds)

    def _kept(self, scores, selected):
        """`scores` (rows, candidates) with 0 in place of those that NMS does not keep."""
        graph = self.graph
        selected = graph.add("Gather", selected, graph.integers([0, 2]), axis=1)  # row and candidate
        nothing = graph.add("ConstantOfShape", graph.add("Shape", scores))
        return graph.add("ScatterND", nothing, selected, graph.add("GatherND", scores, selected))

    def _top(self, scores, count):
        """The best scores of the last axis and their places. Of equal ones, the first come first."""
        return self.graph.add_many("TopK", 2, scores, self.graph.integers([count]), axis=-1)

    def _taken(self, values, place):
        """Of values (batch, n, ...), those at places (batch, count)."""
        place = self.graph.add("Unsqueeze", place, self.graph.integers([-1]))
        return self.graph.add("GatherND", values, place, batch_dims=1)

    def _last(self, scores, count):
        """Column `count` of scores (batch, count)."""
        return self.graph.add("Gather", scores, self.graph.integers(count - 1), axis=1)

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

    def _rows(self, found):
        """Joins the columns; rows without a score become zero, and zero rows fill up to max_detections."""
        graph, missing = self.graph, self.layer.max_detections - self.count
        scores = graph.add("Unsqueeze", found.scores, graph.integers([-1]))
        classes = graph.add("Unsqueeze", found.classes, graph.integers([-1]))
        there = graph.add("Cast", graph.add("Greater", scores, graph.floats(0.0)), to=FLOAT)
        ids = graph.add("Add", classes, graph.floats(1.0))
        columns = (graph.add("Mul", ids, there), scores, graph.add("Mul", found.boxes, there))
        rows = graph.add("Concat", *columns, axis=-1, name="joined" if missing else "detections")
        if not missing:
            return rows
        return graph.add("Pad", rows, graph.integers([0, 0, 0, 0, missing, 0]), name="detections")
