"""MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", table 2).

Layer names and padding are those of `keras.applications.MobileNetV2`, so its ImageNet weights load by name.
"""

from keras import layers

from .conv_bn import conv_bn, kaiming_normal, make_divisible

# (channels, inverted residuals, stride of the first)
STAGES = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
BLOCKS = [(channels, 1 if i else stride) for channels, count, stride in STAGES for i in range(count)]
EXPANSION = 6  # factor in all blocks but the first
C4_BLOCK = 13  # counted from 0; its expansion is the stride 16 feature map
LAST_CHANNELS = 1280


def mobilenet_v2_features(x, alpha, min_depth=8, last_alpha=None, **options):
    """{source: feature map}: the expansion of block 13 (stride 16) and the last layer (stride 32).

    Args:
        x: normalized images.
        alpha: width: multiplies the channels.
        min_depth: minimum number of channels, but of expansions.
        last_alpha: width of the last layer. None: `alpha`, but at least 1, as a narrow network keeps the
            width of its last layer (section 6.1).
        **options: options of `conv_bn` for every convolution.
    """
    options = {"kernel_init": kaiming_normal, "padding": "same", **options}

    def depth(channels, alpha):
        return max(min_depth, make_divisible(channels * alpha))

    channels = depth(32, alpha)
    x = conv_bn(x, channels, 3, "Conv1", activation="relu6", stride=2, bn_name="bn_Conv1", **options)
    sources = {}
    for i, (out, stride) in enumerate(BLOCKS):
        name, shortcut, out = f"block_{i}" if i else "expanded_conv", x, depth(out, alpha)
        if i:
            x = _part(x, EXPANSION * channels, 1, f"{name}_expand", activation="relu6", **options)
        if i == C4_BLOCK:
            sources["c4"] = x
        x = _part(x, None, 3, f"{name}_depthwise", activation="relu6", stride=stride, **options)
        x = _part(x, out, 1, f"{name}_project", **options)
        if stride == 1 and out == channels:
            x = layers.Add(name=f"{name}_add")([shortcut, x])
        channels = out
    last = depth(LAST_CHANNELS, max(1.0, alpha) if last_alpha is None else last_alpha)
    sources["c5"] = conv_bn(x, last, 1, "Conv_1", activation="relu6", **options)
    return sources


def _part(x, channels, kernel, name, **options):
    return conv_bn(x, channels, kernel, name, bn_name=f"{name}_BN", **options)
