"""Maps SSD MobileNets of the TensorFlow Object Detection API for TensorFlow 2, from checkpoints.

A variable is called by the path to it through the objects of the program. Lists of layers count all layers,
also those without variables (activations, padding, dropout), so only the order of the numbers matters.
"""

import re

from ...messages import one_line
from .mobilenet import MOBILENET_V1, MOBILENET_V2
from .object_detection import NORM, add_part, as_mapped, refuse_shared_heads

LAYER = re.compile(
    r"(?:^|/)(?:"
    r"_feature_extractor/(?:classification_backbone|mobilenet_v\d)/layer_with_weights-(?P<backbone>\d{1,3})"
    r"|_feature_extractor/_?feature_map_generator/convolutions/(?P<extra>[2-5])/(?P<in_extra>\d{1,3})"
    r"|_box_predictor/_prediction_heads/(?P<head>box_encodings|class_predictions_with_background)/"
    r"(?P<level>\d)/_(?:box_encoder|class_predictor)_layers/(?P<in_head>\d{1,3})"
    r")/(?P<leaf>kernel|depthwise_kernel|bias|gamma|beta|moving_mean|moving_variance)$"
)
# Convolutions of a backbone, of an extra layer and of a head, by their number.
BACKBONES = {len(names): names for names in (MOBILENET_V1, MOBILENET_V2)}
EXTRAS = {2: ("reduce", "expand"), 3: ("reduce", "depthwise", "expand")}
HEADS = {1: ("",), 2: ("_depthwise", "")}
SHARED = "_base_tower_layers_for_heads"


def is_of_tensorflow_2(arrays):
    """Whether a checkpoint has names of the API for TensorFlow 2."""
    return any("_feature_extractor/" in name and LAYER.search(name) for name in arrays)


def from_tensorflow_2(arrays):
    """Maps {path of a variable: array}."""
    refuse_shared_heads(arrays, SHARED)
    groups, unused = {}, []
    for theirs, array in arrays.items():
        found = LAYER.search(theirs)
        if found is None:
            unused.append(theirs)
            continue
        number = int(found["backbone"] or found["in_extra"] or found["in_head"])
        layer = groups.setdefault(_group(found), {}).setdefault(number, {})
        leaf = found["leaf"].removeprefix("depthwise_")
        if leaf in layer:
            raise ValueError(f"expected one variable with the end of {one_line(theirs)}, found another")
        layer[leaf] = array
    parts = {}
    for (group, names), layers in groups.items():
        _add_group(parts, group, names, layers)
    return as_mapped("of the TensorFlow Object Detection API for TensorFlow 2", parts, unused)


def _group(found):
    """What begins our names of a list of layers, and the names of its convolutions by their number."""
    if found["backbone"]:
        return "", "backbone"
    if found["extra"]:
        return f"extra{int(found['extra']) - 1}_", "extra"
    kind = "loc" if found["head"] == "box_encodings" else "conf"
    return f"head{found['level']}_mbox_{kind}", "head"


def _add_group(parts, group, kind, layers):
    """Adds a list of layers: convolutions, and the BatchNorms after them."""
    ordered = [layers[number] for number in sorted(layers)]
    count = sum("kernel" in layer for layer in ordered)
    table = {"backbone": BACKBONES, "extra": EXTRAS, "head": HEADS}[kind]
    if count not in table:
        raise ValueError(
            f"expected {' or '.join(map(str, table))} convolutions in {group.strip('_') or 'the backbone'}, "
            f"found {count}; for another network pass names"
        )
    names = iter(table[count])
    name = None
    for layer in ordered:
        if "kernel" in layer:
            name = group + next(names)
        elif name is None or not set(layer) <= set(NORM):
            found = ", ".join(layer)
            raise ValueError(f"expected a convolution and a BatchNorm in {group or kind}, found {found}")
        for leaf, array in layer.items():
            add_part(parts, name, leaf, array)
