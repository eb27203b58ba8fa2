"""Optimizers with the learning rate schedules of the published trainings."""

from __future__ import annotations

import keras

from ..arguments import checked
from ..layers.multibox import unwrapped


@checked(learning_rate=0)
def paper_sgd(
    learning_rate: float = 1e-3, boundaries: tuple[int, ...] = (80_000, 100_000)
) -> keras.optimizers.SGD:
    """SGD of the paper for VOC 07+12 (section 3.1): batch 32, 120,000 steps.

    Args:
        learning_rate: rate of the first stage; divided by 10 at each boundary.
        boundaries: steps at which it is divided.
    """
    rates = [learning_rate / 10**stage for stage in range(len(boundaries) + 1)]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay(list(boundaries), rates)
    return keras.optimizers.SGD(schedule, momentum=0.9)


@checked(steps=1, batch_size=1, warmup_steps=0)
def torchvision_ssdlite_sgd(steps: int, batch_size: int, warmup_steps: int = 1000) -> keras.optimizers.SGD:
    """SGD of torchvision's SSDLite from scratch: linear warm-up, then a cosine down to zero.

    Args:
        steps: number of steps of the whole training (torchvision: 660 epochs of COCO).
        batch_size: torchvision's learning rate 0.15 is for 192 images, and is scaled to this.
        warmup_steps: steps from a thousandth of the rate to all of it.
    """
    schedule = cosine_schedule(0.15 * batch_size / 192, steps, warmup_steps, first=1e-3, last=0.0)
    return keras.optimizers.SGD(schedule, momentum=0.9)


@checked(learning_rate=0, steps=1)
def adam_with_cosine_decay(learning_rate: float, steps: int) -> keras.optimizers.Adam:
    """Adam with a linear warm-up over a twentieth of the steps and a cosine decay to a hundredth.

    For short trainings on small data.

    Args:
        learning_rate: the highest rate, reached after the warm-up.
        steps: number of steps of the whole training.
    """
    return keras.optimizers.Adam(cosine_schedule(learning_rate, steps, max(1, steps // 20)))


def cosine_schedule(
    rate: float, steps: int, warmup: int, *, first: float = 0.1, last: float = 0.01
) -> keras.optimizers.schedules.CosineDecay:
    """A linear warm-up, then a cosine decay.

    Args:
        rate: the highest learning rate, reached after the warm-up.
        steps: number of steps of the whole training.
        warmup: how many of them the warm-up takes; 0: none.
        first, last: where the rate begins and ends, as shares of the highest.
    """
    decay = keras.optimizers.schedules.CosineDecay
    if not warmup:
        return decay(rate, steps, alpha=last)
    return decay(first * rate, max(1, steps - warmup), alpha=last, warmup_target=rate, warmup_steps=warmup)


# Peak learning rates of `default_optimizer`. VGG16 has no BatchNorm and diverges at the rates of the others.
DEFAULT_RATES = {"ssd300": 1e-4, "ssd512": 1e-4, "ssdlite": 1e-3, "ssd_mobilenet": 1e-3, "ssd7": 4e-3}


def default_rate(model: keras.Model) -> float:
    """The peak learning rate of `default_optimizer` for a model of this package.

    `SSD` with depthwise convolutions, those of MobileNets or of separable heads, has the rate of SSDLite.
    Without them, as on ResNets, it has that of SSD300.
    """
    is_light = any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in unwrapped(model).layers)
    similar = "ssdlite" if is_light else "ssd300"
    named = (rate for name, rate in DEFAULT_RATES.items() if model.name.startswith(name))
    return next(named, DEFAULT_RATES[similar])


@checked(steps=1)
def default_optimizer(model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    """The optimizer that `train` takes when none is given: `adam_with_cosine_decay` at the network's rate.

    It suits fine-tuning and small data sets. For a training from ImageNet weights on tens of thousands of
    images use the published recipes of this module.

    Args:
        model: a model of this package.
        steps: number of steps of the whole training.
    """
    return adam_with_cosine_decay(default_rate(model), steps)
