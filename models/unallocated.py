"""Builds models without allocating their weights, where only their structure counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import global_state

_WAITING = "uninitialized_variables"  # Keras' list of those that it allocates when it has a state again


@contextmanager
def unallocated_weights() -> Iterator[None]:
    """Models that are built in the block have weights with a shape and without values.

    They can be counted, but neither run nor saved.
    """
    waiting = global_state.get_global_attribute(_WAITING, [], set_to_default=True)
    global_state.set_global_attribute(_WAITING, [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:  # the weights of these models must not be allocated later, either
        global_state.set_global_attribute(_WAITING, waiting)
