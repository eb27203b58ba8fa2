"""A lock between processes and threads, held while one of them makes a file."""

import errno
import os
import time
from contextlib import contextmanager, suppress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

POLL_SECONDS = 0.1

_TAKEN = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}


@contextmanager
def locked(path):
    """Waits until nobody else holds the lock of a path, then holds it.

    The lock is a file `<name>.lock` beside the path. The operating system lets go of it when its holder dies,
    so that a file that was left behind stops nobody.

    Args:
        path: of the file that is about to be made; its folder must exist.

    Raises:
        OSError: if the folder is not writable or its file system knows no locks.
    """
    lock = path.with_name(f"{path.name}.lock")
    file = _acquire(lock)
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file; it stays and can be locked again
            lock.unlink()
        file.close()


def _acquire(lock):
    while True:
        file = lock.open("ab")
        try:
            _wait_for(file)
            # The holder before may have removed the file that was waited for; a third one locks a new file.
            if _is_at(file, lock):
                return file
        except BaseException:
            file.close()
            raise
        file.close()


def _wait_for(file):
    while True:
        try:
            return _lock_now(file)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise
        time.sleep(POLL_SECONDS)


def _lock_now(file):
    if fcntl is not None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)


def _is_at(file, path):
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
