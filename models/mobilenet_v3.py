"""MobileNetV3-Large as torchvision builds it (Howard et al., "Searching for MobileNetV3", table 1)."""

from keras import layers

from .conv_bn import conv_bn, kaiming_normal, make_divisible

# (kernel, expansion, channels, squeeze-excitation, activation, stride). SSDLite uses the "reduced tail": the
# last three blocks have half the channels.
LARGE_REDUCED = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_silu", 2),
    (3, 200, 80, False, "hard_silu", 1),
    (3, 184, 80, False, "hard_silu", 1),
    (3, 184, 80, False, "hard_silu", 1),
    (3, 480, 112, True, "hard_silu", 1),
    (3, 672, 112, True, "hard_silu", 1),
    (5, 672, 80, True, "hard_silu", 2),
    (5, 480, 80, True, "hard_silu", 1),
    (5, 480, 80, True, "hard_silu", 1),
)
C4_BLOCK = 13  # counted from 1; its expansion is the stride 16 feature map


def mobilenet_v3_features(x, alpha, regularizer):
    """{source: feature map}: the expansion of block 13 (stride 16) and the last layer (stride 32)."""
    init = {"kernel_init": kaiming_normal, "regularizer": regularizer}
    channels = make_divisible(16 * alpha)
    x = conv_bn(x, channels, 3, "stem", activation="hard_silu", stride=2, **init)
    sources = {}
    for i, (kernel, expansion, out, excite, activation, stride) in enumerate(LARGE_REDUCED, start=1):
        name, shortcut = f"block{i}", x
        expansion, out = make_divisible(expansion * alpha), make_divisible(out * alpha)
        if expansion != channels:
            x = conv_bn(x, expansion, 1, f"{name}_expand", activation=activation, **init)
        if i == C4_BLOCK:
            sources["c4"] = x
        x = conv_bn(x, None, kernel, f"{name}_depthwise", activation=activation, stride=stride, **init)
        if excite:
            x = squeeze_excitation(x, make_divisible(expansion / 4), name, regularizer)
        x = conv_bn(x, out, 1, f"{name}_project", **init)
        if stride == 1 and out == channels:
            x = layers.Add(name=f"{name}_add")([shortcut, x])
        channels = out
    sources["c5"] = conv_bn(x, 6 * channels, 1, "last", activation="hard_silu", **init)
    return sources


def squeeze_excitation(x, squeezed, name, regularizer):
    """Channel weights from the global mean (MobileNetV3, section 5.3)."""
    settings = {"kernel_initializer": kaiming_normal(), "kernel_regularizer": regularizer}
    weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_squeeze")(x)
    weights = layers.Conv2D(squeezed, 1, activation="relu", name=f"{name}_reduce", **settings)(weights)
    weights = layers.Conv2D(x.shape[-1], 1, activation="hard_sigmoid", name=f"{name}_excite", **settings)(
        weights
    )
    return layers.Multiply(name=f"{name}_scale")([x, weights])
