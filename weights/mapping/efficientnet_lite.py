"""Maps EfficientNet-Lite0 from efficientnet-lite-pytorch to the backbone of SSDLite."""

from .mapped import Mapped, States

BLOCKS = 16
# Of the TensorFlow training whose weights these are. The torch package's own example is EfficientNet-B0's.
PIXELS = {"mean": 127.0, "scale": 1 / 128}
# The BatchNorm of each convolution of a block.
NORMS = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}


def from_efficientnet_lite(state):
    """Maps EfficientNet-Lite0 for ImageNet; its classifier is not used.

    Raises:
        ValueError: for another EfficientNet. B0 has kernels of the same shapes, besides those of
            squeeze-and-excitation.
    """
    _check_lite0(state)
    states = States(state)
    layers = _conv_bn(states, "stem", "_conv_stem", "_bn0")
    for i in range(BLOCKS):
        for part in ("depthwise", "project") if i == 0 else ("expand", "depthwise", "project"):
            module = f"_blocks.{i}"
            name, conv, norm = f"block{i + 1}_{part}", f"{module}._{part}_conv", f"{module}.{NORMS[part]}"
            layers |= _conv_bn(states, name, conv, norm)
    layers |= _conv_bn(states, "last", "_conv_head", "_bn1")
    return Mapped(
        "efficientnet-lite-pytorch's EfficientNet-Lite0 for ImageNet",
        layers,
        states.unused(),
        expected=frozenset(layers),
        pixels=PIXELS,
        first="stem",
    )


def _check_lite0(state):
    if any("._se_" in name for name in state):
        raise ValueError("expected EfficientNet-Lite0, found an EfficientNet with squeeze-and-excitation")
    blocks = len({name.split(".")[1] for name in state if name.startswith("_blocks.")})
    if blocks != BLOCKS:
        raise ValueError(f"expected EfficientNet-Lite0 with {BLOCKS} blocks, found {blocks}")


def _conv_bn(states, name, conv, norm):
    return {name: states.conv(conv, name.endswith("depthwise")), f"{name}_bn": states.norm(norm)}
