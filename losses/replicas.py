"""Sums over the whole batch, where each replica of `tf.distribute`, or process of PyTorch, has a part.

The gradients of the replicas are added up. So a loss that each replica divides by what counts in the whole
batch has the gradient of one device. Elsewhere a step sees the whole batch, also on JAX, where the compiler
divides it among devices, and nothing is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

_is_shared = ContextVar("is_shared", default=False)  # whether processes of PyTorch share a batch now


@contextmanager
def batches_of_processes() -> Iterator[None]:
    """In the block, each process of PyTorch has a part of the batch, and all of them do the same.

    Outside, a process that evaluates a loss does so alone.
    """
    before = _is_shared.set(True)
    try:
        yield
    finally:
        _is_shared.reset(before)


def number_of_replicas() -> int:
    """Number of replicas that share the batch."""
    context = _replica()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(value: Any) -> Any:
    """A tensor added up over the replicas, or the tensor itself without replicas.

    One at a time: several would come out of one node of the graph, and of such a, b TensorFlow 2.21 computes
    `maximum(a, b / 3)` as if b were a.
    """
    context = _replica()
    return value if context is None else context.all_reduce("SUM", value)


def with_all_replicas(function: Callable, rows: Any) -> Any:
    """What a function of the whole batch, (batch, ...) to (batch, ...), says about the rows given here."""
    context = _replica()
    if context is None:
        return function(rows)
    counts = context.all_gather(ops.reshape(ops.shape(rows)[0], (1,)), axis=0)
    ends = ops.cumsum(counts)
    own = context.replica_id_in_sync_group
    return function(context.all_gather(rows, axis=0))[ends[own] - counts[own] : ends[own]]


def _replica():
    """The context of a replica, or None if there is only one, or the code runs in none of them."""
    backend = keras.backend.backend()
    if backend == "torch":
        return _Process() if _is_shared.get() else None
    if backend != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context


class _Process:
    """A process of PyTorch with what is used here of TensorFlow's `ReplicaContext`.

    No gradient goes through it: it adds up numbers that a loss counts or shows. Each process has as many
    rows as the others.
    """

    def __init__(self):
        from torch import distributed

        self._distributed = distributed
        self.num_replicas_in_sync = distributed.get_world_size()
        self.replica_id_in_sync_group = distributed.get_rank()

    def all_reduce(self, operation, value):
        total = value.detach().clone()
        self._distributed.all_reduce(total, getattr(self._distributed.ReduceOp, operation))
        return total

    def all_gather(self, value, axis):
        import torch

        value = value.detach().contiguous()
        parts = [torch.empty_like(value) for _ in range(self.num_replicas_in_sync)]
        self._distributed.all_gather(parts, value)
        return torch.cat(parts, axis)
