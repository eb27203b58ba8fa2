"""What `processes` needs of JAX, where `jax.distributed.initialize` joins several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

_LONGEST_START = 3600_000  # milliseconds; JAX notices earlier that a process has died

count = jax.process_count
index = jax.process_index


def from_first(arrays: Any) -> Any:
    """Arrays, alone or in a list, as they are in the first process."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    _connect()
    return broadcast_one_to_all(arrays)


@cache
def _connect():
    """Connects the devices, once all processes are here.

    On CPUs, Gloo gives up when a process comes half a minute after another one, but only in the first
    computation of some devices together. JAX's service has no public barrier.
    """
    from jax._src import distributed

    if distributed.global_state.client is not None:
        distributed.global_state.client.wait_at_barrier("multibox", _LONGEST_START)
    Largest()([0])()


class Largest:
    """The largest of numbers over all processes."""

    def __init__(self):
        mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
        self._rows = NamedSharding(mesh, PartitionSpec("devices"))
        everywhere = NamedSharding(mesh, PartitionSpec())
        self._largest = jax.jit(lambda rows: rows.max(axis=0), out_shardings=everywhere)

    def __call__(self, numbers: Sequence[int]) -> Callable[[], np.ndarray]:
        """Asks for the largest of each; a call of the result waits for them."""
        rows = np.tile(np.array(numbers, np.int32), (jax.local_device_count(), 1))
        return partial(np.asarray, self._largest(jax.make_array_from_process_local_data(self._rows, rows)))
