"""The most memory that this process has taken: of the accelerator if there is one, otherwise resident."""

from __future__ import annotations

import sys

import psutil

from .compiled import of_backend


def resident_bytes() -> int:
    """Resident memory of this process now."""
    return psutil.Process().memory_info().rss


def peak_bytes() -> int:
    """The most resident memory that this process ever had."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def accelerator_peak_bytes() -> int | None:
    """The most memory that the backend ever took of the first GPU; None without one."""
    return of_backend({"jax": _jax, "tensorflow": _tensorflow, "torch": _torch})()


def _jax():
    import jax

    device = jax.local_devices()[0]
    return (device.memory_stats() or {}).get("peak_bytes_in_use") if device.platform != "cpu" else None


def _tensorflow():
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


def _torch():
    import torch

    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
