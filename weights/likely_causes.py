"""Why the shapes of a layer in a file and in the model may differ, for messages."""

from ..layers.multibox import multibox_layers


def likely_causes(model, name, theirs, ours):
    """Texts for the likely causes of different shapes; empty if none is known."""
    kernel, own = theirs[0], ours[0]
    if name.endswith(("_mbox_conf", "_mbox_loc")):
        causes = _likely_head_causes(model, name, theirs[-1][-1], ours[-1][-1])
        if len(kernel) == len(own) == 4 and kernel[:2] != own[:2]:
            sizes = [f"{rows}x{columns}" for rows, columns, *_ in (kernel, own)]
            causes.append(f"heads of {sizes[0]} in the file, of {sizes[1]} in the model: another head")
    else:
        causes = []
        if len(kernel) == len(own) == 4 and kernel[:2] == own[:2] and kernel[-1] != own[-1]:
            causes.append(f"{kernel[-1] / own[-1]:.3g} times the width: another alpha, or another network")
        if len(kernel) == len(own) == 4 and model.input_shape[-1] == own[2] != kernel[2]:
            causes.append(f"the file is for {kernel[2]} channels, the model for {own[2]}")
        if len(theirs) < len(ours):
            causes.append("the file has BatchNorm instead of a bias: build the model with batch_norm=True")
        elif len(theirs) > len(ours):
            causes.append("the file's BatchNorm is folded into a bias: build the model with batch_norm=False")
    return causes


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
