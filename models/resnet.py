"""ResNet-101 as SSD321 reads it: its last stage keeps the resolution of the one before."""

from __future__ import annotations

import re

import keras

STRIDED = ("conv5_block1_0_conv", "conv5_block1_1_conv")
DILATED = re.compile(r"conv5_block\d_2_conv")


def dilated_resnet101(x: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
    """{name: feature map} of `keras.applications.ResNet101` at strides 8 and 16, with new weights.

    - The stride 2 of the fifth stage is 1, and its 3x3 convolutions are dilated by 2 (Fu et al., "DSSD",
      section 4).
    - The first pooling has no padding at the top and left, as in ResNet's Caffe model. With it, the maps of
      321x321 pixels would have 41x41 and 21x21 cells, and not the paper's 40x40 and 20x20.

    Args:
        x: images (batch, height, width, channels) with Caffe's pixels.
    """
    resnet = keras.applications.ResNet101(include_top=False, weights=None, input_shape=x.shape[1:])
    dilated = keras.models.clone_model(resnet, input_tensors=x, clone_function=_changed)
    return {f"{stage}_x": _last_of(dilated, stage) for stage in ("conv3", "conv5")}


def _changed(layer):
    config = layer.get_config()
    if layer.name in STRIDED:
        config["strides"] = (1, 1)
    elif DILATED.fullmatch(layer.name):
        config["dilation_rate"] = (2, 2)
    elif layer.name == "pool1_pad":
        config["padding"] = ((0, 1), (0, 1))
    return type(layer).from_config(config)


def _last_of(model, stage):
    name = re.compile(rf"{stage}_block\d+_out")
    return next(layer.output for layer in reversed(model.layers) if name.fullmatch(layer.name))
