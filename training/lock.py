"""One run at a time in a folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder. The system releases it when the process ends, however it ends.

    Files that an earlier, killed run left half written are removed.

    Raises:
        FileExistsError: if another run holds the lock; names its process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    owner = folder / ".owner"
    lock = filelock.FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise FileExistsError(
            f"{folder} is in use by another run ({_owner(owner)}); wait for it, or choose another folder"
        ) from None
    try:
        with suppress(OSError):  # a full disk; it is only for the message
            owner.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        for partial in (*folder.glob(".partial-*"), *folder.glob("diagnosis/.partial-*")):
            if partial.is_file():
                partial.unlink(missing_ok=True)
        yield
    finally:
        with suppress(OSError):
            owner.unlink()
        lock.release()


def _owner(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace") or "an unknown process"
    except OSError:
        return "an unknown process"
