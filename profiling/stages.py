"""The stages of a detector: backbone, extras, heads and decoding, found in the graph of the model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..layers import MultiBox
from ..models.graph import Call

STAGES = ("backbone", "extras", "heads", "decoding")
WHOLE_MODEL = "model"  # the one stage of a model that is no detector
# Names of the extra feature layers of the networks of this package: VGG16's are Caffe's.
EXTRA_NAME = re.compile(r"(.*/)?(extra\d+_|conv([6-9]|10)_(1|2|padding)\b)")
HEAD_NAME = re.compile(r"_mbox_")  # also of what offsets and logits of a level share


def stages_of(calls: Sequence[Call]) -> list[str]:
    """The stage of each call.

    * heads: what leads to exactly one of the inputs of `MultiBox`, which are the offsets and the logits of
      each level, and `MultiBox` itself; and the prediction modules, which both of a level share.
    * decoding: all that takes the output of `MultiBox`.
    * extras: of the rest, the layers that have the names of extra feature layers.
    * backbone: the others.

    A model without `MultiBox`, or with several, has one stage, "model".
    """
    joins = [call for call in calls if isinstance(call.operation, MultiBox)]
    if len(joins) != 1:
        return [WHOLE_MODEL] * len(calls)
    (join,) = joins
    reached = _reached(calls, join)
    after = {id(tensor) for tensor in join.outputs}
    stages = []
    for call in calls:
        if call is join:
            stages.append("heads")
        elif any(id(tensor) in after for tensor in call.inputs):
            after.update(map(id, call.outputs))
            stages.append("decoding")
        else:
            ends = set().union(*(reached.get(id(tensor), set()) for tensor in call.outputs))
            stages.append(_stage(call.name, len(ends)))
    return stages


def _stage(name, ends):
    if ends == 1 or HEAD_NAME.search(name):
        return "heads"
    return "extras" if EXTRA_NAME.match(name) else "backbone"


def _reached(calls, join):
    """{id of a tensor: which inputs of `MultiBox` depend on it}."""
    reached = {}
    for i, tensor in enumerate(join.inputs):
        reached.setdefault(id(tensor), set()).add(i)
    for call in reversed(calls[: calls.index(join)]):
        ends = set().union(*(reached.get(id(tensor), set()) for tensor in call.outputs))
        for tensor in call.inputs:
            reached.setdefault(id(tensor), set()).update(ends)
    return reached
