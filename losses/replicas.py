"""Sums over the whole batch, where `tf.distribute` gives each replica a part of it.

Keras adds up the gradients of the replicas. So a loss that each replica divides by what counts in the whole
batch has the gradient of one device. Elsewhere a step sees the whole batch, also on JAX, where the compiler
divides it among devices, and nothing is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops


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
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return None if context is None or context.num_replicas_in_sync == 1 else context
