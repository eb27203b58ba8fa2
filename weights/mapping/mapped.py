"""What a mapping hands over: arrays by the names of our layers."""

from dataclasses import dataclass, field

import numpy as np

HEADS = ("_mbox_loc", "_mbox_conf")


@dataclass
class Mapped:
    """Weights by the names of our layers, in Keras' layout.

    Args:
        origin: where they come from, for messages.
        layers: {layer name: [array, ...]} as `layer.set_weights` takes them.
        unused: names in the file that have no counterpart in any model.
        expected: names of the layers that have to be there; None: all of the model, since it is a detector.
        optional: names of layers that may have other shapes than the model's, as the network was built
            differently from there on; they are left out then.
        pixels: what the first layer expects, as `mean`, `scale` and `bgr` of `ImageNormalization`; None: what
            the model gives.
        first: name of the first layer.
        anchors: name in `multibox.anchors` of the spec that the detector was trained with, if that is known.
    """

    origin: str
    layers: dict
    unused: list = field(default_factory=list)
    expected: frozenset | None = None
    optional: frozenset = frozenset()
    pixels: dict | None = None
    first: str = ""
    anchors: str | None = None


def has_heads(names):
    """Whether there are prediction heads among the names of our layers."""
    return any(head in name for name in names for head in HEADS)


class States:
    """Torch's tensors by module, and which of them have been taken.

    Args:
        state: {name: array} of a `state_dict`.

    Raises:
        ValueError: from `conv` and `norm`, if the module is not there.
    """

    def __init__(self, state):
        self.state = state
        self.taken = {name for name in state if name.endswith("num_batches_tracked")}

    def __contains__(self, name):
        return name in self.state

    def take(self, name):
        if name not in self.state:
            raise ValueError(f"expected the tensor {name}, which is not there")
        self.taken.add(name)
        return self.state[name]

    def conv(self, module, depthwise=False):
        """[kernel] or [kernel, bias] of a convolution."""
        kernel = self.take(f"{module}.weight")
        if kernel.ndim != 4:
            raise ValueError(f"expected the kernel of a convolution in {module}.weight, found {kernel.shape}")
        bias = [self.take(f"{module}.bias")] if f"{module}.bias" in self else []
        return [depthwise_kernel(kernel) if depthwise else conv_kernel(kernel), *bias]

    def norm(self, module):
        """[gamma, beta, mean, variance] of a BatchNorm."""
        return [self.take(f"{module}.{leaf}") for leaf in ("weight", "bias", "running_mean", "running_var")]

    def unused(self):
        return [name for name in self.state if name not in self.taken]


def conv_kernel(kernel):
    """(out, in, rows, columns), as Caffe and torch have it, to (rows, columns, in, out)."""
    return kernel.transpose(2, 3, 1, 0)


def depthwise_kernel(kernel):
    """(channels, 1, rows, columns), as torch has it, to (rows, columns, channels, 1)."""
    return kernel.transpose(2, 3, 0, 1)


def adapt_pixels(mapped, given):
    """Changes the first layer from the pixels its weights expect to those a model gives it; in place.

    With p = (x - mean) * scale of an image x, the expected pixels are a linear function of the given ones,
    which goes into kernel and bias (or into the mean of a BatchNorm). Exact but for the outermost pixels:
    where the layer pads with zeros, these stood for the other mean.

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


def _pixels(mean, scale=1.0, bgr=False):
    mean, scale = (np.broadcast_to(np.asarray(v, np.float64), (3,)) for v in (mean, scale))
    return mean, scale, bgr
