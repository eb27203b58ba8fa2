"""Which devices a training has, and what it needs for several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import keras

from ..losses.detection_loss import DetectionLoss
from . import processes
from .batches import batch_size_of
from .places import Devices, Mirrored, Sharded

ALL = "all"
_NAMES = {"jax": "JAX", "torch": "PyTorch"}  # of those that can have several processes


def chosen_devices(devices: int | str | None) -> list[str]:
    """The names of the devices to train on; none for today's one device.

    Raises:
        ValueError: for a number that is not to be had, for several devices of one process on PyTorch, and for
            less than all devices of several processes.
    """
    _check_processes(devices)
    if devices in (None, 1):
        return []
    names = _processes_of_torch(devices) if _backend() == "torch" else keras.distribution.list_devices()
    if devices == ALL:
        return names if len(names) > 1 else []
    if devices > len(names):
        raise ValueError(f"train: devices={devices}, but there are {len(names)}: {', '.join(names)}")
    return names[:devices]


def _processes_of_torch(devices):
    """The names of the processes, each of which has one device."""
    import torch

    number, gpus = processes.count(), torch.cuda.device_count()
    if number == 1 and (devices != ALL or gpus > 1):
        raise ValueError(
            f"train: devices={devices!r}: with PyTorch each device needs a process of its own: start "
            f'"torchrun --nproc-per-node {max(gpus, 1)} train.py" with a script that joins them and passes '
            f'devices="all", or "multibox train --distributed" by it: see docs/devices.md'
        )
    return [f"process:{index}" for index in range(number)]


def _backend():
    return keras.backend.backend()


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
    if _backend() == "tensorflow":
        _check_scope(model, names)
    if not names:
        return Devices()
    if not isinstance(model.loss, DetectionLoss):
        raise ValueError(
            f"train: devices needs SSDLoss or SSDFocalLoss, got {type(model.loss).__name__}: another loss "
            "does not know what counts in the whole batch"
        )
    return _place_class()(model, names)


def _place_class():
    if _backend() == "torch":
        from .summed import Summed

        return Summed
    return {"tensorflow": Mirrored, "jax": Sharded}[_backend()]


def _check_processes(devices):
    """Refuses several processes that would not share each batch evenly."""
    if (number := processes.count()) == 1:
        return
    if devices != ALL:
        raise ValueError(
            f'train: {_NAMES[_backend()]} runs in {number} processes: pass devices="all", with which their '
            f"devices share each batch; got {devices}"
        )
    if _backend() == "jax":
        _check_numbers_of_devices()


def _check_numbers_of_devices():
    import jax

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
