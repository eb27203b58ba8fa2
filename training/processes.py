"""Several processes that train one model, and how they keep to the same way.

All of them run the same program, and a step is one computation of all their devices: a process that leaves
out a step, or takes another one, lets the others wait. So whatever decides about the steps is known to all.
Most of it follows from values that are equal in all processes, such as weights and losses. What one process
finds out alone goes through this module: the files, which the first process reads and writes (`of_first`,
`share`), and what may happen to any process at any time (`Agreement`).

JAX and PyTorch can have several: see `jax_processes` and `torch_processes`, which have the same functions.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TypeVar

import keras
import numpy as np

from ..data_generator import DataGenerator

Made = TypeVar("Made")
_MODULES = {"jax": ".jax_processes", "torch": ".torch_processes"}


def _several():
    """The module that knows the processes of the backend, or None if it has one only."""
    name = _MODULES.get(keras.backend.backend())
    return name and import_module(name, __package__)


def count() -> int:
    """Number of processes that train together."""
    several = _several()
    return several.count() if several else 1


def index() -> int:
    """Number of this process, from 0."""
    several = _several()
    return several.index() if several else 0


def is_first() -> bool:
    """Whether this is the process that reads and writes the files of a run."""
    return index() == 0


def of_first(make: Callable[[], Made]) -> Made:
    """What the first process makes, in all of them. All call this, and the others wait for the first.

    Args:
        make: is called in the first process only; its result can be pickled.

    Raises:
        Exception: in all processes, what `make` has raised.
    """
    if count() == 1:
        return make()
    content = b""
    if is_first():
        try:
            made, error = make(), None
        except Exception as raised:
            made, error = None, raised
        content = _packed(made, error)
    length = _broadcast(np.int32(len(content)))
    content = _broadcast(np.frombuffer(content.ljust(int(length), b"\0"), np.uint8)).tobytes()
    if not is_first():
        made, error = pickle.loads(content)  # from a process of this run
    if error is not None:
        raise error
    return made


def wait() -> None:
    """Waits until all processes have come here."""
    of_first(lambda: None)


def share(variables: Iterable[Any]) -> None:
    """Gives variables, which are on one device, the values that they have in the first process."""
    if count() == 1:
        return
    variables = list(variables)
    values = _broadcast([keras.ops.convert_to_numpy(variable) for variable in variables])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _broadcast(arrays):
    return _several().from_first(arrays)


def _packed(made, error):
    try:
        content = pickle.dumps((made, error))
        pickle.loads(content)
    except Exception:
        if error is None:
            raise
        content = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
    return content


class Agreement:
    """What at least one process asks for, known to all of them at the same step.

    The answer is about the step before, so that nobody waits for the devices. One process has it at once.
    """

    def __init__(self):
        self._asked = None
        self._largest = None if count() == 1 else _several().Largest()

    def __call__(self, *numbers: int, wait: bool = False) -> tuple[int, ...]:
        """Asks for something. All processes call this equally often.

        Args:
            *numbers: as many in each call.
            wait: whether the answer is about these numbers, too.

        Returns:
            The largest of each over all processes.
        """
        if count() == 1:
            return numbers
        asked, self._asked = self._asked, self._largest(numbers)
        answers = [np.zeros(len(numbers), np.int32)] if asked is None else [asked()]
        if wait:
            answers.append(self._asked())
        answer = np.max(answers, axis=0)
        if wait or answer.any():
            self._asked = None  # what is still asked for in the step in hand is answered by now
        return tuple(int(number) for number in answer)


@contextmanager
def own_parts(*data: Any) -> Iterator[None]:
    """In the block, `DataGenerator`s that make whole batches make this process's part of each.

    Those with a `host` of their own do so already. A part may be without images, see `EvenBatches`.
    """
    whole = [one for one in data if isinstance(one, DataGenerator) and one.host == (0, 1)]
    sizes = [one.batch_size for one in whole]
    for one in whole:
        one.host = index(), count()
        one.batch_size = -(-one.batch_size // count())
    try:
        yield
    finally:
        for one, size in zip(whole, sizes, strict=True):
            one.host, one.batch_size = (0, 1), size
