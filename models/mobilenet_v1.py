"""MobileNet v1 (Howard et al., "MobileNets", table 1).

Layer names are those of `keras.applications.MobileNet`, so its ImageNet weights load by name.
"""

from .conv_bn import conv_bn, scaled

STEM = 32
# (channels, stride) of each block, a depthwise and a pointwise convolution.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
SOURCES = (11, 13)  # blocks, counted from 1, at strides 16 and 32


def mobilenet_v1_features(x, alpha, min_depth, **options):
    """{source: feature map}: the outputs of blocks 11 and 13.

    Args:
        x: normalized images.
        alpha: width: multiplies the channels.
        min_depth: minimum number of channels of a layer.
        **options: options of `conv_bn` for every convolution.
    """
    options = {"activation": "relu6", "padding": "same", **options}
    x = conv_bn(x, scaled(STEM, alpha, min_depth), 3, "conv1", stride=2, **options)
    sources = {}
    for i, (channels, stride) in enumerate(BLOCKS, start=1):
        x = conv_bn(x, None, 3, f"conv_dw_{i}", stride=stride, **options)
        x = conv_bn(x, scaled(channels, alpha, min_depth), 1, f"conv_pw_{i}", **options)
        if i in SOURCES:
            sources[f"conv_pw_{i}"] = x
    return sources
