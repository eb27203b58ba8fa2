"""Heads and extra layers, by the name that `SSD` knows them by.

A head makes offsets or logits of a feature map. An extra layer makes a map of half the rows and columns.
"""

from __future__ import annotations

import keras
from keras import layers

from .conv_bn import conv_bn, normal_003
from .residual import prediction_module, residual_extra

EXTRAS = (512, 256, 256, 128)  # channels of SSDLite's extra layers, which most networks here have, too
# Initial bias of the class heads of a sigmoid: the logit of the score 0.01. Nearly all anchors are
# background. From a score of 0.5, the first epochs would only learn that (Lin et al., "Focal Loss for Dense
# Object Detection", section 4.1).
RARE_LOGIT = -4.595
TOWER = 4  # convolutions before a shared head (Lin et al., section 4)


class Heads:
    """What makes the heads and extra layers of one network.

    Args:
        kind: "conv" is a 3x3 convolution, as in the paper; "separable" a depthwise 3x3 and a 1x1 convolution,
            as in SSDLite; "shared" a 3x3 convolution after four others, with the same weights on each level,
            as in RetinaNet; "residual" a 3x3 convolution after a residual block, as in SSD321.
        activation: "softmax" or "sigmoid".
        regularizer: of the kernels, or None.
    """

    def __init__(self, kind: str, activation: str, regularizer):
        self.kind = kind
        self.class_bias = RARE_LOGIT if activation == "sigmoid" else 0.0
        self.init = {"kernel_init": normal_003, "regularizer": regularizer}
        self._shared: dict[str, list] = {}
        self._modules: dict[str, keras.KerasTensor] = {}

    def head(self, x, channels: int, name: str):
        """Offsets or logits of a feature map; the name ends with "_mbox_loc" or "_mbox_conf"."""
        if self.kind == "shared":
            return self._shared_head(x, channels, name[name.rindex("_mbox") :])
        if self.kind == "residual":
            return self._last(channels, 3, name)(self._predicted(x, name[: name.rindex("_mbox")]))
        if self.kind == "separable":
            x = conv_bn(x, None, 3, f"{name}_depthwise", activation="relu6", **self.init)
            return self._last(channels, 1, name)(x)
        return self._last(channels, 3, name)(x)

    def extra(self, x, channels: int, name: str):
        """A 1x1 convolution to half the channels and a 3x3 one at stride 2; or separable or residual ones."""
        if self.kind == "residual":
            return residual_extra(x, channels, name, self.init["regularizer"])
        activation = "relu6" if self.kind == "separable" else "relu"
        x = conv_bn(x, channels // 2, 1, f"{name}_reduce", activation=activation, **self.init)
        if self.kind != "separable":
            return conv_bn(x, channels, 3, f"{name}_expand", activation=activation, stride=2, **self.init)
        x = conv_bn(x, None, 3, f"{name}_depthwise", activation=activation, stride=2, **self.init)
        return conv_bn(x, channels, 1, f"{name}_expand", activation=activation, **self.init)

    def _last(self, channels, kernel, name):
        bias = self.class_bias if name.endswith("_mbox_conf") else 0.0
        return layers.Conv2D(
            channels,
            kernel,
            padding="same",
            kernel_initializer=normal_003(),
            kernel_regularizer=self.init["regularizer"],
            bias_initializer=keras.initializers.Constant(bias),
            name=name,
        )

    def _predicted(self, x, source):
        """One residual block for the offsets and the logits of a feature map."""
        if source not in self._modules:
            self._modules[source] = prediction_module(x, f"{source}_mbox", self.init["regularizer"])
        return self._modules[source]

    def _shared_head(self, x, channels, kind):
        if kind not in self._shared:
            tower = [self._tower_layer(x.shape[-1], f"shared{kind}_{i}") for i in range(1, TOWER + 1)]
            self._shared[kind] = [*tower, self._last(channels, 3, f"shared{kind}")]
        first, *_, last = self._shared[kind]
        if first.filters != x.shape[-1]:
            raise ValueError(
                f"SSD: head='shared' needs feature maps of the same number of channels, got {first.filters} "
                f"and {x.shape[-1]}; pass neck='fpn' and extras of {first.filters} channels"
            )
        if last.filters != channels:
            raise ValueError(
                f"SSD: head='shared' needs the same number of anchors in the cells of each level, got "
                f"{last.filters} and {channels} outputs of {last.name}"
            )
        for layer in self._shared[kind]:
            x = layer(x)
        return x

    def _tower_layer(self, channels, name):
        return layers.Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=normal_003(),
            kernel_regularizer=self.init["regularizer"],
            name=name,
        )
