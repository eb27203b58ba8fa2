"""Runs a function for many numbers in forked children, which may die, hang or ask for memory without harm.

A child does many calls, so a call costs no more than itself. After a death or a hang the next child goes on
with the next number. Not for programs in which JAX or TensorFlow have computed anything: their threads are
not in the child, which waits for them. Keras' backend "numpy" has none.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

SECONDS = 5
_WAITING = 12  # times as long may pass on the clock, since other programs run, too
MEMORY = 1 << 30
_UNIT = {"kB": 1024}


@dataclass(frozen=True)
class Ran:
    """What became of one call.

    Attributes:
        number: argument of the function.
        ended: "returned", "hang" (stopped after the time) or "death" (with the signal or exit status).
        value: what the function returned.
        seconds: time that it took.
        grown: bytes by which the memory grew at its peak.
    """

    number: int
    ended: str = "returned"
    value: Any = None
    seconds: float = 0.0
    grown: int = 0


def run_guarded(
    function: Callable[[int], Any],
    numbers: Iterable[int],
    *,
    seconds: int = SECONDS,
    memory: int = MEMORY,
    until: float = float("inf"),
) -> Iterator[Ran]:
    """Yields a `Ran` for each number, in order.

    Args:
        function: called in a child; returns something that can be pickled.
        numbers: its arguments.
        seconds: longest time of one core that a call may take. One that waits is stopped after a minute.
        memory: bytes that a child may have more than this process has.
        until: time (`time.monotonic`) after which no call begins.
    """
    numbers, done, again = list(numbers), 0, None
    while done < len(numbers) and time.monotonic() < until:
        last = None
        for last in _in_child(function, numbers[done:], seconds, memory, until):
            # Some systems count the seconds of a core coarsely and end a call far too early, if rarely.
            if last.ended == "hang" and last.seconds < seconds and again != last.number:
                again = last.number
                break
            yield last
            done += 1
        if last is None:
            return


def _in_child(function, numbers, seconds, memory, until):
    """Yields the `Ran` of each number up to the first that ends the child."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # forks beside threads: see the module's docstring
        child = os.fork()
    if not child:
        os.close(reading)
        try:
            _work(function, numbers, seconds, memory, until, writing)
        finally:
            os._exit(1)  # nothing of the parent's is cleaned up in the child
    os.close(writing)
    started, done = time.monotonic(), 0
    with os.fdopen(reading, "rb") as results, suppress(EOFError, pickle.UnpicklingError):
        while True:
            result = pickle.load(results)
            done += 1
            started = time.monotonic()
            yield result
    _, status = os.waitpid(child, 0)
    if status:
        yield replace(_ended(status), number=numbers[done], seconds=time.monotonic() - started)


def _ended(status):
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    if number in (signal.SIGALRM, signal.SIGXCPU):
        return Ran(0, "hang")
    reason = signal.Signals(number).name if number else f"exit status {os.WEXITSTATUS(status)}"
    return Ran(0, f"death ({reason})")


def _work(function, numbers, seconds, memory, until, writing):
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    faulthandler.disable()  # a death is reported by the parent
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # also ends what runs in C
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(KeyError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_memory()["VmSize"] + memory,) * 2)
    with os.fdopen(writing, "wb") as results:
        for number in numbers:
            if time.monotonic() > until:
                break
            spent = resource.getrusage(resource.RUSAGE_SELF)
            core = int(spent.ru_utime + spent.ru_stime) + 1 + seconds
            resource.setrlimit(resource.RLIMIT_CPU, (core, resource.RLIM_INFINITY))
            before, started = _forget_peak(), time.monotonic()
            signal.alarm(seconds * _WAITING)
            value = function(number)
            signal.alarm(0)
            took, grown = time.monotonic() - started, max(0, _peak() - before)
            pickle.dump(Ran(number, "returned", value, took, grown), results)
            results.flush()
    os._exit(0)


def _memory():
    """{field: bytes} of this process, as far as the system tells."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.startswith("Vm")]
    return {name.rstrip(":"): int(number) * _UNIT[unit] for name, number, unit in words}


def _forget_peak():
    """The memory in use. Where the system can, its peak is measured from here on."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak():
    return _memory().get("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
