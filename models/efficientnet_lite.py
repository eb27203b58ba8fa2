"""EfficientNet-Lite0 (tensorflow/tpu, models/official/efficientnet/lite).

EfficientNet-B0 (Tan and Le, "EfficientNet", table 1) for mobile devices: without squeeze-and-excitation, and
with ReLU6, whose range suits 8-bit numbers.
"""

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
BLOCKS = [
    (kernel, expansion, channels, 1 if i else stride)
    for kernel, expansion, channels, count, stride in STAGES
    for i in range(count)
]
C4_BLOCK = 12  # counted from 1; its expansion is the stride 16 feature map
STEM_CHANNELS, LAST_CHANNELS = 32, 1280  # of every width


def efficientnet_lite0_features(x, alpha, regularizer):
    """{source: feature map}: the expansion of block 12 (stride 16) and the last layer (stride 32)."""
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer, "padding": "same"}
    channels = STEM_CHANNELS
    x = conv_bn(x, channels, 3, "stem", activation="relu6", stride=2, **init)
    sources = {}
    for i, (kernel, expansion, out, stride) in enumerate(BLOCKS, start=1):
        name, shortcut, out = f"block{i}", x, make_divisible(out * alpha)
        if expansion > 1:
            x = conv_bn(x, expansion * channels, 1, f"{name}_expand", activation="relu6", **init)
        if i == C4_BLOCK:
            sources["c4"] = x
        x = conv_bn(x, None, kernel, f"{name}_depthwise", activation="relu6", stride=stride, **init)
        x = conv_bn(x, out, 1, f"{name}_project", **init)
        if stride == 1 and out == channels:
            x = layers.Add(name=f"{name}_add")([shortcut, x])
        channels = out
    sources["c5"] = conv_bn(x, LAST_CHANNELS, 1, "last", activation="relu6", **init)
    return sources
