"""What `processes` needs of PyTorch, where `torch.distributed.init_process_group` joins several.

Messages have a group of their own on the CPU (Gloo). So they do not wait for the computations of a GPU, and
whoever waits for the first process may do so for long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import keras
import numpy as np
import torch
from torch import distributed

_LONGEST_WAIT = timedelta(days=7)  # Gloo notices at once that a process has died


def count() -> int:
    """Number of processes."""
    is_there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if is_there else 1


def index() -> int:
    """Number of this process."""
    return distributed.get_rank() if count() > 1 else 0


def from_first(arrays: Any) -> Any:
    """Arrays, alone or in a list, as they are in the first process."""
    return keras.tree.map_structure(_from_first, arrays)


def _from_first(array):
    copy = np.array(array)
    # As bytes, because torch lacks some of NumPy's types.
    distributed.broadcast(torch.from_numpy(copy.reshape(-1).view(np.uint8)), 0, group=_messages())
    return copy


class Largest:
    """The largest of numbers over all processes."""

    def __call__(self, numbers: Sequence[int]) -> Callable[[], np.ndarray]:
        """Asks for the largest of each; a call of the result waits for them."""
        largest = torch.tensor(numbers, dtype=torch.int32)
        work = distributed.all_reduce(largest, distributed.ReduceOp.MAX, group=_messages(), async_op=True)

        def answer():
            work.wait()
            return largest.numpy()

        return answer


def _messages():
    return _group(distributed.group.WORLD)


@cache
def _group(world):
    return distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT)
