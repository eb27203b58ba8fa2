"""Cache folders that cannot be written, for the tests of downloads."""

import os
import subprocess
import sys

import pytest

SMALL_DISK = """
import resource, signal, sys
from pathlib import Path
from multibox.weights.archive import extract_member
from multibox.weights.download import DownloadError, fetch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    {call}
except DownloadError as error:
    print(error)
"""


def error_on_a_small_disk(call):
    """The `DownloadError` of a call in a process whose files cannot grow beyond 100 KB.

    The limit is a real error of the operating system. It would also hold for the log of this process.
    """
    pytest.importorskip("resource")
    command = [sys.executable, "-c", SMALL_DISK.format(call=call)]
    return subprocess.run(command, capture_output=True, text=True).stdout


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def read_only(folder):
    """Forbids writing; the superuser may write all the same, which would change the time of the folder."""
    folder.chmod(0o500)
    os.utime(folder, ns=(0, 0))


def assert_untouched(folder):
    assert folder.stat().st_mtime_ns == 0
    folder.chmod(0o700)
