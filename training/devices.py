"""Which devices a training has, and what it needs for several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras

from ..losses.detection_loss import DetectionLoss
from . import processes
from .batches import batch_size_of
from .places import BACKENDS, Devices

ALL = "all"


def chosen_devices(devices: int | str | None) -> list[str]:
    """The names of the devices to train on; none for today's one device.

    Raises:
        ValueError: for a number that is not to be had, on PyTorch, and for less than all devices of several
            processes.
    """
    backend = keras.backend.backend()
    _check_processes(devices)
    if devices in (None, 1):
        return []
    if backend not in BACKENDS:
        raise ValueError(
            f"train: devices={devices!r}: Keras trains on one device with the backend {backend}; "
            "set KERAS_BACKEND to jax or tensorflow, or leave devices out"
        )
    names = keras.distribution.list_devices()
    if devices == ALL:
        return names if len(names) > 1 else []
    if devices > len(names):
        raise ValueError(f"train: devices={devices}, but there are {len(names)}: {', '.join(names)}")
    return names[:devices]


def check_batches(generators: Iterable[Any], number: int) -> None:
    """Refuses `DataGenerator`s with full batches that cannot be divided evenly among a number of devices."""
    for data in generators:
        size = batch_size_of(data) or 0
        if number and size % number and len(data) > 1:
            below = size - size % number
            right = f"{below} or {below + number}" if below else f"{number}"
            raise ValueError(
                f"train: batches of {size} images cannot be divided evenly among {number} devices; "
                f"choose batch_size={right}"
            )


def on_devices(model: keras.Model, names: list[str]) -> Devices:
    """A context in which a compiled model with a built optimizer is on the devices.

    Raises:
        ValueError: for a loss of another package, or a model made for several devices already.
    """
    if keras.backend.backend() == "tensorflow":
        _check_scope(model, names)
    if not names:
        return Devices()
    if not isinstance(model.loss, DetectionLoss):
        raise ValueError(
            f"train: devices needs SSDLoss or SSDFocalLoss, got {type(model.loss).__name__}: another loss "
            "does not know what counts in the whole batch"
        )
    return BACKENDS[keras.backend.backend()](model, names)


def _check_processes(devices):
    """Refuses several processes that would not share each batch evenly."""
    if (number := processes.count()) == 1:
        return
    import jax

    if devices != ALL:
        raise ValueError(
            f'train: JAX runs in {number} processes: pass devices="all", with which their devices share each '
            f"batch; got {devices}"
        )
    devices_of = Counter(device.process_index for device in jax.devices())
    if len(set(devices_of.values())) > 1:
        raise ValueError(
            f"train: each process needs as many devices as the others, there are {dict(devices_of)}; show "
            "JAX fewer of them (CUDA_VISIBLE_DEVICES, or local_device_ids= of jax.distributed.initialize)"
        )


def _check_scope(model, names):
    """Refuses a model made inside another strategy's scope, or an optimizer made outside its model's."""
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return
    if names:
        raise ValueError(
            "train: the model was built inside strategy.scope(): leave devices out, or build it outside"
        )
    if not strategy.extended.variable_created_in_scope(model.optimizer.iterations.value):
        raise ValueError(
            "train: the model was built inside strategy.scope(), the optimizer outside: each of the "
            f"{strategy.num_replicas_in_sync} replicas would count a step, and a schedule of the learning "
            "rate would run so many times as fast; make the optimizer inside the scope, too"
        )
