"""Starts Keras without the messages that TensorFlow writes at its start.

TensorFlow says that it found no GPU, how it was compiled and that a call to CUDA failed. Nobody can act on
that, and it looks like an error. Only commands are quiet; programs that import multibox keep their setup.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from .boundary import is_debug_mode


def start_keras() -> None:
    """Imports Keras and its backend. A command calls it before it imports modules that use them."""
    if is_debug_mode():
        import keras

        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for what comes after the import
    with held_back_messages():
        import keras  # noqa: F401


@contextmanager
def held_back_messages() -> Iterator[None]:
    """Holds back what is written to the standard error stream, also by C++; shows it after an error.

    TensorFlow writes to file descriptor 2 before it has set up the log that its variables control.
    """
    try:
        terminal = os.dup(2)
    except OSError:  # a process without an error stream
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
