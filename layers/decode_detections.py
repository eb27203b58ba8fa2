"""DecodeDetections: turns predictions and anchors into scored boxes (Caffe's DetectionOutput)."""

import keras
from keras import ops

from ..activations import SCORES, check_activation
from ..arguments import check_arguments
from ..boxes import decode_offsets
from ..deprecated import warn_renamed, with_new_names
from ..limits import MAX_CANDIDATES, MAX_DETECTIONS
from .non_max_suppression import best_scores, keep_best, non_max_suppression, take_boxes

# If no class has more boxes above the lowest score that matters, only so many enter NMS, which is faster.
FEW_CANDIDATES = 32


@keras.saving.register_keras_serializable(package="multibox")
class DecodeDetections(keras.layers.Layer):
    """Decodes boxes and scores, suppresses duplicates and keeps the best detections.

    Called with predictions (batch, num_anchors, 4 + 1 + num_classes) from `MultiBox` and anchors
    (1, num_anchors, 8) from `AnchorBoxes`. Returns (batch, max_detections, 6) float32 rows
    [class_id, score, xmin, ymin, xmax, ymax] by descending score. Class ids start from 1, coordinates are
    relative (0..1, not clipped), and zero rows pad the result. With a third argument, a scalar, only scores
    above it count, too; of the rows, those up to it are left out, and the others come sooner.

    Steps for each image:

    1. For each class but background, take the `max_candidates` best scores above the threshold.
    2. Run NMS within each class.
    3. Keep the `max_detections` best detections of all classes.

    Args:
        confidence_threshold: only scores above this count.
        iou_threshold: NMS drops a box whose IoU with a better one is above this.
        max_detections: number of detections kept per image (`keep_top_k` in Caffe).
        max_candidates: number of boxes per class that enter NMS.
        class_agnostic: if True, keep only the best class of each anchor and run one NMS over all classes.
            This is faster, and two classes never share a box.
        activation: "softmax" or "sigmoid", which turns logits into scores; that of the model's `MultiBox`.

    Raises:
        TypeError: for an argument of another kind.
        ValueError: for thresholds outside 0..1, counts outside 1..100,000 or an unknown activation.
    """

    def __init__(
        self,
        confidence_threshold: float = 0.01,
        iou_threshold: float = 0.45,
        max_detections: int = 200,
        max_candidates: int = 400,
        class_agnostic: bool = False,
        activation: str = "softmax",
        **kwargs,
    ):
        if "top_k" in kwargs:  # a decorator would hide the arguments from Keras
            warn_renamed("DecodeDetections", "top_k", "max_detections")
            max_detections = kwargs.pop("top_k")
        bounds = {"max_detections": MAX_DETECTIONS, "max_candidates": MAX_CANDIDATES}
        check_arguments(DecodeDetections.__init__, locals(), **bounds)
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not (0 <= confidence_threshold < 1 and 0 <= iou_threshold <= 1):
            raise ValueError(
                "DecodeDetections: expected 0 <= confidence_threshold < 1 and 0 <= iou_threshold <= 1, "
                f"got {confidence_threshold} and {iou_threshold}"
            )
        self.confidence_threshold = confidence_threshold
        self.iou_threshold = iou_threshold
        self.max_detections = max_detections
        self.max_candidates = max_candidates
        self.class_agnostic = class_agnostic
        self.activation = check_activation(activation, "DecodeDetections")
        # The NMS kernel of TensorFlow cannot be compiled by XLA; elsewhere this attribute has no effect.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def build(self, predictions_shape, anchors_shape, min_score_shape=None):
        if predictions_shape[-1] is None or predictions_shape[-1] < 6:
            raise ValueError(
                f"{self.name}: expected predictions (batch, num_anchors, 4 + 1 + num_classes), "
                f"got {tuple(predictions_shape)}"
            )
        if tuple(anchors_shape[1:]) != (predictions_shape[1], 8):
            raise ValueError(
                f"{self.name}: expected anchors (1, {predictions_shape[1]}, 8), got {tuple(anchors_shape)}"
            )

    def call(self, predictions, anchors, min_score=None):
        boxes = decode_offsets(predictions[..., :4], anchors[..., :4], anchors[..., 4:])
        scores = SCORES[self.activation](predictions[..., 4:])  # (batch, anchors, classes)
        most = min(self.max_candidates, scores.shape[1])
        if min_score is None:
            return self._rows(boxes, scores, self.confidence_threshold, most)
        threshold = ops.maximum(min_score, self.confidence_threshold)
        per_class = ops.max(scores, axis=-1, keepdims=True) if self.class_agnostic else scores
        above = ops.max(ops.sum(ops.cast(per_class > threshold, "int32"), axis=1))
        few = min(FEW_CANDIDATES, most)
        return ops.cond(
            above > few,
            lambda: self._rows(boxes, scores, threshold, most),
            lambda: self._rows(boxes, scores, threshold, few),
        )

    def _rows(self, boxes, scores, threshold, candidates):
        find = self._across_classes if self.class_agnostic else self._within_classes
        boxes, scores, classes = find(boxes, scores, threshold, candidates)
        class_ids = ops.where(scores > 0, ops.cast(classes, "float32") + 1, 0.0)
        return ops.concatenate([class_ids[..., None], scores[..., None], boxes], axis=-1)

    def _within_classes(self, boxes, scores, threshold, candidates):
        scores, index = best_scores(ops.transpose(scores, (0, 2, 1)), candidates)
        classes = scores.shape[1]  # (batch, classes, candidates)
        boxes = take_boxes(boxes, ops.reshape(index, (-1, classes * candidates)))
        boxes = ops.reshape(boxes, (-1, classes, candidates, 4))
        return non_max_suppression(boxes, scores, self.iou_threshold, threshold, self.max_detections)

    def _across_classes(self, boxes, scores, threshold, candidates):
        best_class = ops.argmax(scores, axis=-1)  # (batch, anchors)
        scores, index = best_scores(ops.max(scores, axis=-1), candidates)  # (batch, candidates)
        best_class = ops.take_along_axis(best_class, index, axis=1)
        boxes = take_boxes(boxes, index)
        scores, index = keep_best(
            boxes[:, None], scores[:, None], self.iou_threshold, threshold, self.max_detections
        )
        boxes = take_boxes(boxes, index) * ops.cast(scores > 0, "float32")[..., None]
        return boxes, scores, ops.take_along_axis(best_class, index, axis=1)

    def compute_output_shape(self, predictions_shape, anchors_shape, min_score_shape=None):
        return (predictions_shape[0], self.max_detections, 6)

    def get_config(self):
        return {
            **super().get_config(),
            "confidence_threshold": self.confidence_threshold,
            "iou_threshold": self.iou_threshold,
            "max_detections": self.max_detections,
            "max_candidates": self.max_candidates,
            "class_agnostic": self.class_agnostic,
            "activation": self.activation,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**with_new_names(config, {"top_k": "max_detections"}))  # files of version 0.1
