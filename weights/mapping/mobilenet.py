"""Maps MobileNets, and SSDLite with MobileNetV3, from torchvision and Keras to our layers."""

import re

from .mapped import Mapped, States

SOURCES = ("c4", "c5", "extra1", "extra2", "extra3", "extra4")
BLOCKS = 15
C4_BLOCK = 13
# Normalization that torchvision's ImageNet networks expect.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET_PIXELS = {
    "mean": tuple(255 * m for m in IMAGENET_MEAN),
    "scale": tuple(1 / (255 * s) for s in IMAGENET_STD),
}
UNIT_PIXELS = {"mean": 127.5, "scale": 1 / 127.5}


def from_ssdlite(state):
    """Maps torchvision's ssdlite320_mobilenet_v3_large: pixels -1..1, background as class 0."""
    states = States(state)
    layers = _conv_bn(states, "stem", "backbone.features.0.0")
    for block in range(1, C4_BLOCK):
        layers |= _block(states, f"block{block}", _units(states, f"backbone.features.0.{block}.block"))
    # torchvision splits block 13 after its expansion, whose output is the SSD's first feature map.
    units = ["backbone.features.0.13", *_units(states, "backbone.features.1.0")]
    layers |= _block(states, "block13", units)
    for block in range(C4_BLOCK + 1, BLOCKS + 1):
        units = _units(states, f"backbone.features.1.{block - C4_BLOCK}.block")
        layers |= _block(states, f"block{block}", units)
    layers |= _conv_bn(states, "last", f"backbone.features.1.{BLOCKS - C4_BLOCK + 1}")
    for i in range(1, 5):
        for part, name in enumerate(("reduce", "depthwise", "expand")):
            layers |= _conv_bn(states, f"extra{i}_{name}", f"backbone.extra.{i - 1}.{part}")
    for i, source in enumerate(SOURCES):
        for ours, theirs in (("loc", "regression"), ("conf", "classification")):
            module = f"head.{theirs}_head.module_list.{i}"
            layers |= _conv_bn(states, f"{source}_mbox_{ours}_depthwise", f"{module}.0")
            layers[f"{source}_mbox_{ours}"] = states.conv(f"{module}.1")
    return Mapped(
        "torchvision's ssdlite320_mobilenet_v3_large",
        layers,
        states.unused(),
        pixels=UNIT_PIXELS,
        first="stem",
        anchors="SSDLITE320",
    )


def from_mobilenet_v3(state):
    """Maps torchvision's mobilenet_v3_large for ImageNet to the backbone of SSDLite.

    Its last stage has 160 channels, but SSDLite's has 80. The layers after the squeeze-excitation of block 13
    therefore have other shapes and are optional.
    """
    states = States(state)
    layers = _conv_bn(states, "stem", "features.0")
    for block in range(1, BLOCKS + 1):
        layers |= _block(states, f"block{block}", _units(states, f"features.{block}.block"))
    layers |= _conv_bn(states, "last", f"features.{BLOCKS + 1}")
    stage = ("block13_project", "block14", "block15", "last")
    optional = frozenset(name for name in layers if name.startswith(stage))
    return Mapped(
        "torchvision's mobilenet_v3_large for ImageNet",
        layers,
        states.unused(),
        expected=frozenset(layers) - optional,
        optional=optional,
        pixels=IMAGENET_PIXELS,
        first="stem",
    )


def _units(states, prefix):
    """The modules prefix.0, prefix.1, ... that have tensors, in order."""
    numbers = {
        int(match[1]) for name in states.state if (match := re.match(rf"{re.escape(prefix)}\.(\d+)\.", name))
    }
    return [f"{prefix}.{i}" for i in sorted(numbers)]


def _block(states, name, units):
    """Maps an inverted residual: (expansion,) depthwise, (squeeze-excitation,) projection."""
    excite = [unit for unit in units if f"{unit}.fc1.weight" in states]
    convolutions = [unit for unit in units if unit not in excite]
    parts = ("expand", "depthwise", "project")[3 - len(convolutions) :]
    if len(convolutions) not in (2, 3) or len(excite) > 1:
        raise ValueError(f"expected an inverted residual for {name}, found {', '.join(units) or 'nothing'}")
    layers = {}
    for part, unit in zip(parts, convolutions, strict=True):
        layers |= _conv_bn(states, f"{name}_{part}", unit)
    for unit in excite:
        layers[f"{name}_reduce"] = states.conv(f"{unit}.fc1")
        layers[f"{name}_excite"] = states.conv(f"{unit}.fc2")
    return layers


def _conv_bn(states, name, module):
    """Maps a convolution and its BatchNorm, which are the modules .0 and .1."""
    depthwise = name.endswith("depthwise")
    return {name: states.conv(f"{module}.0", depthwise), f"{name}_bn": states.norm(f"{module}.1")}


# The convolutions of keras.applications' MobileNets v1 and v2, in order. Ours have the same names.
MOBILENET_V1 = ("conv1", *(f"conv_{kind}_{i}" for i in range(1, 14) for kind in ("dw", "pw")))
MOBILENET_V2 = (
    *("Conv1", "expanded_conv_depthwise", "expanded_conv_project"),
    *(f"block_{i}_{part}" for i in range(1, 17) for part in ("expand", "depthwise", "project")),
    "Conv_1",
)


def norm_name(convolution):
    """The name of the BatchNorm after a convolution, as in keras.applications."""
    if convolution == "Conv1":
        return "bn_Conv1"
    return f"{convolution}_BN" if convolution.startswith(("block_", "expanded_conv")) else f"{convolution}_bn"


# Their layers, BatchNorm included.
KERAS_BACKBONES = tuple(
    frozenset(names) | frozenset(map(norm_name, names)) for names in (MOBILENET_V1, MOBILENET_V2)
)
