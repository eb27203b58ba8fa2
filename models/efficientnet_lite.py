"""EfficientNet-Lite0 to Lite2 (tensorflow/tpu, models/official/efficientnet/lite).

EfficientNet-B0 to B2 (Tan and Le, "EfficientNet", table 1) for mobile devices: without
squeeze-and-excitation, and with ReLU6, whose range suits 8-bit numbers.
"""

from math import ceil

from keras import layers

from .conv_bn import conv_bn, kaiming_normal, make_divisible

# (kernel, expansion, channels, inverted residuals, stride of the first)
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)
SCALES = {  # (width, depth): what multiplies the channels, and the inverted residuals of a stage
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
STEM_CHANNELS, LAST_CHANNELS = 32, 1280  # of every width


def efficientnet_lite_features(x, alpha, regularizer, version):
    """{source: feature map}: the expansion of the last block of stride 2 (stride 16), the last layer (32).

    Args:
        x: normalized images.
        alpha: multiplies the channels, on top of the width of the version.
        regularizer: of the kernels, or None.
        version: a key of `SCALES`.
    """
    width, depth = SCALES[version]
    blocks = lite_blocks(depth)
    c4 = max(i for i, block in enumerate(blocks, start=1) if block[-1] == 2)
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer, "padding": "same"}
    channels = STEM_CHANNELS
    x = conv_bn(x, channels, 3, "stem", activation="relu6", stride=2, **init)
    sources = {}
    for i, (kernel, expansion, out, stride) in enumerate(blocks, start=1):
        name, shortcut, out = f"block{i}", x, make_divisible(out * width * alpha)
        if expansion > 1:
            x = conv_bn(x, expansion * channels, 1, f"{name}_expand", activation="relu6", **init)
        if i == c4:
            sources["c4"] = x
        x = conv_bn(x, None, kernel, f"{name}_depthwise", activation="relu6", stride=stride, **init)
        x = conv_bn(x, out, 1, f"{name}_project", **init)
        if stride == 1 and out == channels:
            x = layers.Add(name=f"{name}_add")([shortcut, x])
        channels = out
    sources["c5"] = conv_bn(x, LAST_CHANNELS, 1, "last", activation="relu6", **init)
    return sources


def lite_blocks(depth):
    """[(kernel, expansion, channels, stride)]: the first and the last stage have one block at any depth."""
    return [
        (kernel, expansion, channels, 1 if i else stride)
        for kernel, expansion, channels, count, stride in STAGES
        for i in range(count if count == 1 else ceil(count * depth))
    ]
