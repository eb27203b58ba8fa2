"""`Mapped`, the result of every mapping: arrays by the names of our layers. Helpers for the mappings."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...anchors import AnchorSpec

HEADS = ("_mbox_loc", "_mbox_conf")


@dataclass
class Mapped:
    """Weights by the names of our layers, in Keras' layout.

    Args:
        origin: origin of the weights, for messages.
        layers: {layer name: [array, ...]}, arrays as for `layer.set_weights`.
        unused: names in the file that have no counterpart in any model.
        expected: names of the layers that the file must have. None: all layers of the model, because the file
            is a detector.
        optional: names of layers whose shapes may differ from the model's, because the networks differ from
            there on. Such layers are skipped.
        pixels: pixel values that the first layer expects, as `mean`, `scale` and `bgr` of
            `ImageNormalization`. None: the values that the model gives it.
        first: name of the first layer.
        anchors: name in `multibox.anchors` of the spec that the detector was trained with, if it is known, or
            the spec.
        config: path of the file that has these anchors, or None.
        absent: why a layer of the model is not in `layers`, for messages.
        beyond: why arrays are in `unused`.
    """

    origin: str
    layers: dict
    unused: list = field(default_factory=list)
    expected: frozenset | None = None
    optional: frozenset = frozenset()
    pixels: dict | None = None
    first: str = ""
    anchors: str | AnchorSpec | None = None
    config: Path | None = None
    absent: str = "not in the file"
    beyond: str = "not part of the detector"


def has_heads(names):
    """Whether the layer names include prediction heads."""
    return any(head in name for name in names for head in HEADS)


class States:
    """The tensors of a torch `state_dict`, and the record of those that a mapping has used.

    Args:
        state: {name: array} of a `state_dict`.

    Raises:
        ValueError: from `take`, `conv` and `norm`, if there is no such tensor.
    """

    def __init__(self, state):
        self.state = state
        self.taken = {name for name in state if name.endswith("num_batches_tracked")}

    def __contains__(self, name):
        return name in self.state

    def take(self, name):
        if name not in self.state:
            raise ValueError(f"expected the tensor {name}, which the file does not have")
        self.taken.add(name)
        return self.state[name]

    def conv(self, module, depthwise=False):
        """Takes a convolution: [kernel] or [kernel, bias]."""
        kernel = self.take(f"{module}.weight")
        if kernel.ndim != 4:
            raise ValueError(f"expected the kernel of a convolution in {module}.weight, found {kernel.shape}")
        bias = [self.take(f"{module}.bias")] if f"{module}.bias" in self else []
        return [depthwise_kernel(kernel) if depthwise else conv_kernel(kernel), *bias]

    def norm(self, module):
        """Takes a BatchNorm: [gamma, beta, mean, variance]."""
        return [self.take(f"{module}.{leaf}") for leaf in ("weight", "bias", "running_mean", "running_var")]

    def unused(self):
        return [name for name in self.state if name not in self.taken]


def conv_kernel(kernel):
    """Caffe's and torch's layout (out, in, rows, columns) to Keras' (rows, columns, in, out)."""
    return kernel.transpose(2, 3, 1, 0)


def depthwise_kernel(kernel):
    """torch's layout (channels, 1, rows, columns) to Keras' (rows, columns, channels, 1)."""
    return kernel.transpose(2, 3, 0, 1)


def adapt_pixels(mapped, given):
    """Rewrites the first layer for the pixel values that a model gives it; changes `mapped` in place.

    The normalized pixels of an image x are p = (x - mean) * scale. The pixels that the weights expect are
    therefore a linear function of those that the model gives. That function is folded into kernel and bias
    (or into the mean of a BatchNorm).

    The result is exact except at the border: the layer pads with zeros, and zero stood for another mean.

    Args:
        mapped: a `Mapped`.
        given: `mean`, `scale` and `bgr` of the model's `ImageNormalization`.
    """
    arrays = mapped.layers.get(mapped.first)
    if mapped.pixels is None or arrays is None or arrays[0].ndim != 4 or arrays[0].shape[2] != 3:
        return
    mean, scale, bgr = _pixels(**mapped.pixels)
    given_mean, given_scale, given_bgr = _pixels(**given)
    kernel = arrays[0][:, :, ::-1] if bgr else arrays[0]
    offset = scale * (given_mean - mean)
    if offset.any():
        shift = np.einsum("hwio,i->o", kernel.astype(np.float64), offset)
        norm = mapped.layers.get(f"{mapped.first}_bn")
        if len(arrays) == 2:
            arrays[1] = (arrays[1] + shift).astype(np.float32)
        elif norm is not None:
            norm[2] = (norm[2] - shift).astype(np.float32)
    kernel = (kernel * (scale / given_scale)[:, None]).astype(np.float32)
    arrays[0] = kernel[:, :, ::-1] if given_bgr else kernel


def fit_channels(mapped, first, channels):
    """Fits the kernel of the first layer, made for RGB, to other channels; changes `mapped` in place.

    - More than three channels: those of RGB stay, each additional one has the mean of their kernels.
    - One channel: the sum of the kernels. A gray image then gives what it gives as RGB.

    Args:
        mapped: a `Mapped`.
        first: name of the first layer.
        channels: number of channels of the model.

    Returns:
        What was done, in words, or None.
    """
    arrays = mapped.layers.get(first)
    if not arrays or arrays[0].ndim != 4 or arrays[0].shape[2] != 3 or channels in (2, 3):
        return None
    kernel = arrays[0]
    if channels == 1:
        arrays[0] = kernel.sum(axis=2, keepdims=True)
        return "made for RGB; gray has the sum of the three kernels"
    mean = kernel.mean(axis=2, keepdims=True)
    arrays[0] = np.concatenate([kernel, *[mean] * (channels - 3)], axis=2)
    return f"made for RGB; each of {channels - 3} more channels has the mean of the three kernels"


def _pixels(mean, scale=1.0, bgr=False):
    mean, scale = (np.broadcast_to(np.asarray(v, np.float64), (3,)) for v in (mean, scale))
    return mean, scale, bgr
