"""Ctrl-C and SIGTERM end a run after the step in hand, when its checkpoint is written."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interruption:
    """Whether the process was asked to end.

    Attributes:
        signal: number of the signal, or 0.
    """

    def __init__(self):
        self.signal = 0

    def note(self, number, frame):
        """A signal handler. A second signal ends the process at once."""
        if self.signal:
            self.end(number)
        self.signal = number
        print("\ntrain: stopping after this step; once more stops at once", file=sys.stderr)

    def end(self, number: int) -> None:
        """Raises what a signal means: KeyboardInterrupt, or SystemExit with the status 128 + its number."""
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)


@contextmanager
def noted_signals() -> Iterator[Interruption]:
    """Notes SIGINT and SIGTERM in the block. Only the main thread can; elsewhere they act as usual."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption.note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)  # None: set by a library in C
