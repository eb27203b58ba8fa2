"""Copies of shards in a local folder, each read once from its beginning to its end.

The caches of fsspec have no limit, write a file under its final name, and let two processes fetch it at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import filelock

from ...files import atomic
from ...messages import one_line
from ..images import ImageError

_MAX_INDEX = 16 << 30  # bytes
_SUFFIX = ".copy"


def is_address(text: str | os.PathLike[str]) -> bool:
    """Whether a text is an address such as `s3://bucket/folder` and no path."""
    return "://" in os.fspath(text)


@dataclass(frozen=True, slots=True)
class ShardCache:
    """A folder of copies, which any number of processes may share.

    Attributes:
        folder: path of the folder, which need not exist.
        max_bytes: size of all copies, about. The least recently used ones leave.
    """

    folder: str
    max_bytes: int

    def copy_of(self, address: str, size: int, key: str) -> Path:
        """The path of the copy of a file, which is fetched if it is not there.

        Args:
            address: address or path of the file.
            size: its bytes.
            key: a text that differs for other files with this address and size.

        Raises:
            ImageError: if the file cannot be fetched, or has another size; names the address.
        """
        digest = hashlib.sha256(f"{address}\n{size}\n{key}".encode("utf-8", "replace")).hexdigest()[:32]
        path = Path(self.folder) / f"{digest}{_SUFFIX}"
        if not _is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Some files share a lock, so that the number of lock files is limited.
            with filelock.FileLock(path.parent / f".lock-{digest[:2]}"):
                if not _is_there(path):
                    with atomic(path) as partial:
                        _fetch(address, size, partial)
                    self._make_room(path)
        return path

    def copy_of_index(self, address: str) -> Path:
        """As `copy_of` for a file of unknown size. Another copy is fetched when the file has changed.

        Raises:
            FileNotFoundError: if there is no such file.
            ImageError: if it cannot be read.
        """
        try:
            if is_address(address):
                system, path = _file_system(address)
                size, key = system.size(path), system.ukey(path)
            else:
                found = Path(address).stat()
                size, key = found.st_size, str(found.st_mtime_ns)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{address}: no such file; expected a folder that save_shards wrote"
            ) from None
        except Exception as error:
            raise _refusal(address, error) from error
        if size is None or size > _MAX_INDEX:
            raise ImageError(f"{address}: expected at most {_MAX_INDEX} bytes, got {size}")
        return self.copy_of(address, size, key)

    def _make_room(self, newest):
        """Deletes the least recently used copies; programs that have one open can go on reading it."""
        found = []
        for path in Path(self.folder).glob(f"*{_SUFFIX}"):
            if path != newest and not path.name.startswith("."):
                try:
                    found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
                except FileNotFoundError:  # another process made room
                    continue
        excess = newest.stat().st_size + sum(size for _, size, _ in found) - self.max_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                return
            with suppress(OSError):  # on Windows, a copy that is open
                path.unlink(missing_ok=True)
                excess -= size


def _is_there(path):
    """Whether a copy is there. It counts as used now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _fetch(address, size, target):
    try:
        if is_address(address):
            system, path = _file_system(address)
            found = system.size(path)
            if found == size:
                system.get_file(path, str(target))
        else:
            found = Path(address).stat().st_size
            if found == size:
                shutil.copyfile(address, target)
    except Exception as error:  # each file system has its own
        raise _refusal(address, error) from error
    found = target.stat().st_size if found == size else found
    if found != size:
        raise ImageError(
            f"{address}: the shard has {found} bytes, its index states {size}: it is incomplete, or of "
            "another data set"
        )


def _refusal(address, error):
    reason = one_line(error, 300) or "no reason given"
    return ImageError(f"{address}: cannot fetch the file: {type(error).__name__}: {reason}")


def _file_system(address):
    from fsspec.core import url_to_fs

    return url_to_fs(address)


def check_fsspec(address: str) -> None:
    """Raises ModuleNotFoundError if the package for addresses is not installed."""
    if find_spec("fsspec") is None:
        raise ModuleNotFoundError(
            f"{address}: an address needs the package fsspec, which is not installed: pip install fsspec, or "
            "the extra remote of multibox",
            name="fsspec",
        )
