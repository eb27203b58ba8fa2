"""Precision: which one is fastest for a network on this device, and models in another one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import keras
import numpy as np

from ..arguments import checked
from ..layers import DecodeDetections
from ..layers.multibox import multibox_of, unwrapped
from .copies import copied

Precision = Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]

# What a CPU must have for products of bfloat16 that are faster than those of float32, as Linux calls it.
BFLOAT16_FLAGS = {"amx_bf16", "avx512_bf16"}
BFLOAT16_CAPABILITY = 8  # of NVIDIA's GPUs: Ampere and later
DENSE = (keras.layers.Conv2D, keras.layers.Conv2DTranspose, keras.layers.Dense)  # products of matrices
DEPTHWISE = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)


@checked()
def fastest_precision(model: keras.Model) -> str:
    """The dtype policy of Keras with which a network runs fastest on this device, see `cast_model`.

    | device | model | policy |
    |---|---|---|
    | NVIDIA GPU from Ampere on, TPU | any | "mixed_bfloat16" |
    | CPU with bfloat16, TensorFlow | for training | "mixed_bfloat16" |
    | the same | detector without depthwise convolutions | "mixed_bfloat16" |
    | the same | detector with depthwise convolutions | "float32" |
    | all others | any | "float32" |

    A model for training is judged by its training step, a detector (`to_inference`) by its forward pass of
    one image. In that, casts cost more than the small products of MobileNets gain; in batches they gain.
    `benchmarks/precision.py` measures all three. Linux lists CPUs with bfloat16 by the flag `amx_bf16` or
    `avx512_bf16`; on other systems they are not known.

    Args:
        model: a model of this package.

    Raises:
        ValueError: for another model.
    """
    multibox_of(model)
    on_accelerator = _on_accelerator()
    if on_accelerator is None:
        in_tensorflow = keras.backend.backend() == "tensorflow"
        faster = in_tensorflow and _cpu_has_bfloat16() and not _is_depthwise_detector(model)
    else:
        faster = on_accelerator
    return "mixed_bfloat16" if faster else "float32"


@checked()
def cast_model(model: keras.Model, precision: Precision) -> keras.Model:
    """A copy of a model that computes in another precision, with the same weights.

    A model keeps its precision in its file, whatever `keras.config.set_dtype_policy` says when it is loaded.
    Anchors, decoding, loss and scores are float32 in any precision, and so are the weights.

    On a CPU, "mixed_bfloat16" is the policy of the dense layers only: `Conv2D` with one group,
    `Conv2DTranspose` and `Dense`. All others are float32. Depthwise convolutions, BatchNorms and activations
    are slower in bfloat16 on CPUs, and less exact. A layer that is made of others is float32, too, and so is
    a convolution with strides on a map of one row or column, whose gradient TensorFlow does not compute in
    bfloat16.

    Args:
        model: a model of this package, for training or for inference.
        precision: a policy of Keras, or "auto": `fastest_precision(model)`.

    Returns:
        `keras.Model` with new weights, not compiled. The given model is unchanged.

    Raises:
        ValueError: for a model of another package, or for "mixed_float16" on a CPU.
    """
    policy = chosen_precision(model, precision, "cast_model")
    model = unwrapped(model)

    copy = copied(model, lambda layer: _recast(layer, policy))
    for layer in model.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def set_precision(model: keras.Model, precision: Precision, owner: str) -> None:
    """Lets a model itself compute in another precision; arguments and errors as for `cast_model`.

    The weights stay as they are: they are float32 in each of the policies.
    """
    policy = chosen_precision(model, precision, owner)
    dtypes = {variable.dtype for variable in model.weights if keras.backend.is_float_dtype(variable.dtype)}
    if kept := dtypes - {"float32"}:
        raise ValueError(
            f"{owner}: the weights of the model are {', '.join(sorted(kept))}; cast_model makes one with "
            "float32"
        )
    for layer in unwrapped(model).layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue  # its dtype is that of the images
        # Some layers compute in float32 whatever they are told, and only they know.
        layer.dtype_policy = _recast(layer, policy).dtype_policy
    model.train_function = model.test_function = model.predict_function = None  # compiled before the change


def chosen_precision(model: keras.Model, precision: Precision, owner: str) -> str:
    """The policy that a precision stands for, which is another one for "auto" only."""
    multibox_of(model)
    if precision == "auto":
        return fastest_precision(model)
    if precision == "mixed_float16" and _on_accelerator() is None:
        raise ValueError(
            f"{owner}: mixed_float16 needs a GPU, since CPUs compute it slowly; "
            'use "auto", which takes what is fastest here'
        )
    return precision


def _recast(layer, policy):
    """A new layer with the config of another one, in its share of the policy of a model."""
    return type(layer).from_config({**layer.get_config(), "dtype": _policy_of(layer, policy)})


def _policy_of(layer, policy):
    """The policy of a layer in a model of a policy; `cast_model` states the rule."""
    splits = policy == "mixed_bfloat16" and _on_accelerator() is None
    return "float32" if splits and (not _is_dense(layer) or _skips_taps(layer)) else policy


def _skips_taps(layer):
    """Whether a convolution with strides gets a map of one row or column.

    TensorFlow 2.21 leaves the gradient of such a kernel undefined in bfloat16 on a CPU, where no image ever
    meets the outer taps: what was in that memory, often NaN, becomes the step of the weights.
    """
    strides = np.ravel(getattr(layer, "strides", 1))
    return strides.max() > 1 and 1 in layer.get_build_config()["input_shape"][1:3]


def _is_dense(layer):
    return isinstance(layer, DENSE) and getattr(layer, "groups", 1) == 1


def _on_accelerator() -> bool | None:
    """Whether the accelerator in use has fast bfloat16; None on a CPU."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return _tensorflow_gpu()
    if backend == "jax":
        return _jax_device()
    return _torch_gpu() if backend == "torch" else None


def _tensorflow_gpu():
    import tensorflow as tf

    if not (devices := tf.config.list_physical_devices("GPU")):
        return None
    details = tf.config.experimental.get_device_details(devices[0])
    return details.get("compute_capability", (0, 0))[0] >= BFLOAT16_CAPABILITY


def _jax_device():
    import jax

    device = jax.devices()[0]
    if device.platform == "gpu":
        return float(getattr(device, "compute_capability", 0)) >= BFLOAT16_CAPABILITY
    return True if device.platform == "tpu" else None


def _torch_gpu():
    import torch

    if not torch.cuda.is_available():
        return None
    return torch.cuda.get_device_capability()[0] >= BFLOAT16_CAPABILITY


def _cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether Linux lists such instructions; False on other systems."""
    return cpuinfo.exists() and bool(BFLOAT16_FLAGS & set(cpuinfo.read_text().split()))


def _is_depthwise_detector(model):
    layers = unwrapped(model).layers
    has_depthwise = any(isinstance(layer, (*DENSE, *DEPTHWISE)) and not _is_dense(layer) for layer in layers)
    return has_depthwise and any(isinstance(layer, DecodeDetections) for layer in layers)
