"""Files that hold many images and stay open while a data set is used.

A memory map would end the process (SIGBUS) when such a file becomes shorter, or when a network disk fails.
Reading from an open file takes as long, and says what is wrong.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path


class OpenFile:
    """An open file, closed when nobody reads from it any more.

    Threads and forked processes may share it: its position is not used.

    Args:
        path: path of the file.

    Attributes:
        status: what `os.stat` says of it.

    Raises:
        OSError: if it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self._path = path
        self._number = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._number)
        self.status = os.fstat(self._number)

    def read(self, start: int, stop: int) -> bytes:
        """These bytes of the file; fewer, if it has become shorter.

        Raises:
            OSError: if they cannot be read.
        """
        if hasattr(os, "pread"):
            return os.pread(self._number, stop - start, start)
        with Path(self._path).open("rb") as own:  # Windows
            own.seek(start)
            return own.read(stop - start)
