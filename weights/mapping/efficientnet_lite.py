"""Maps EfficientNet-Lite0 to Lite2 from efficientnet-lite-pytorch to the backbone of SSDLite."""

from .mapped import Mapped, States

VERSIONS = {16: "Lite0", 21: "Lite1 or Lite2"}  # by the number of blocks
# Of the TensorFlow training whose weights these are. The torch package's own example is EfficientNet-B0's.
PIXELS = {"mean": 127.0, "scale": 1 / 128}
# The BatchNorm of each convolution of a block.
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def from_efficientnet_lite(state):
    """Maps EfficientNet-Lite0, 1 or 2 for ImageNet; its classifier is not used.

    Raises:
        ValueError: for another EfficientNet. B0 to B2 have kernels of the same shapes, besides those of
            squeeze-and-excitation.
    """
    blocks = _blocks(state)
    states = States(state)
    layers = _conv_bn(states, "stem", "_conv_stem", "_bn0")
    for i in range(blocks):
        for part in ("depthwise", "project") if i == 0 else ("expand", "depthwise", "project"):
            module = f"_blocks.{i}"
            name, conv, norm = f"block{i + 1}_{part}", f"{module}._{part}_conv", f"{module}.{NORMS[part]}"
            layers |= _conv_bn(states, name, conv, norm)
    layers |= _conv_bn(states, "last", "_conv_head", "_bn1")
    return Mapped(
        f"efficientnet-lite-pytorch's EfficientNet-{VERSIONS[blocks]} for ImageNet",
        layers,
        states.unused(),
        expected=frozenset(layers),
        pixels=PIXELS,
        first="stem",
    )


def _blocks(state):
    """The number of blocks."""
    if any("._se_" in name for name in state):
        raise ValueError("expected an EfficientNet-Lite, found an EfficientNet with squeeze-and-excitation")
    blocks = len({name.split(".")[1] for name in state if name.startswith("_blocks.")})
    if blocks not in VERSIONS:
        known = ", ".join(f"EfficientNet-{name} with {n} blocks" for n, name in VERSIONS.items())
        raise ValueError(f"expected {known}, found {blocks}")
    return blocks


def _conv_bn(states, name, conv, norm):
    return {name: states.conv(conv, name.endswith("depthwise")), f"{name}_bn": states.norm(norm)}
