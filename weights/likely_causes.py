"""Why the shapes of a layer in a file and in the model may differ, for messages."""

from ..layers.multibox import multibox_layers

OTHER_EXTRAS = "extra layers of another kind: another separable_extras of SSDMobileNet, or head of SSD"
OTHER_HEADS = "another head"


def likely_causes(model, name, theirs, ours):
    """Texts for the likely causes of different shapes; empty if none is known.

    Args:
        model: the model.
        name: name of the layer.
        theirs: shapes of its arrays in the file.
        ours: shapes of its weights in the model.
    """
    if not theirs or not theirs[-1]:
        return []
    kernel, own = theirs[0], ours[0]
    is_kernel = len(kernel) == len(own) == 4
    is_other_size = is_kernel and kernel[:2] != own[:2]
    if name.endswith(("_mbox_conf", "_mbox_loc")):
        causes = _likely_head_causes(model, name, theirs[-1][-1], ours[-1][-1])
        if is_other_size:
            sizes = [f"{rows}x{columns}" for rows, columns, *_ in (kernel, own)]
            causes.append(f"heads of {sizes[0]} in the file, of {sizes[1]} in the model: {OTHER_HEADS}")
        return causes
    causes = [OTHER_EXTRAS] if is_other_size and name.endswith("_expand") else []
    if is_kernel and not is_other_size and kernel[-1] != own[-1]:
        causes.append(f"{kernel[-1] / own[-1]:.3g} times the width: another alpha, or another network")
    if is_kernel and model.input_shape[-1] == own[2] != kernel[2]:
        causes.append(f"the file is for {kernel[2]} channels, the model for {own[2]}")
    if len(theirs) < len(ours):
        causes.append("the file has BatchNorm instead of a bias: build the model with batch_norm=True")
    elif len(theirs) > len(ours):
        causes.append("the file's BatchNorm is folded into a bias: build the model with batch_norm=False")
    return causes


def likely_causes_of_absence(name):
    """The same for a layer of the model that the file does not have."""
    if not name.endswith("_depthwise"):
        return []
    if "_mbox_" in name:
        return [OTHER_HEADS]
    return [OTHER_EXTRAS] if name.startswith("extra") else []


def _likely_head_causes(model, name, theirs, ours):
    """The same for a prediction head, from its number of outputs in the file and in the model."""
    classes = next((layer.num_classes for layer in multibox_layers(model)), None)
    if theirs == ours or not classes:
        return []
    if name.endswith("_mbox_loc"):
        return [f"the file has {theirs // 4} anchors per cell, the model {ours // 4}"]
    found, rest = divmod(theirs, ours // (1 + classes))
    if not rest and found > 1:
        return [f"the file has {found - 1} classes, the model {classes}: see sample_classes"]
    return ["another number of classes, or of anchors per cell"]
