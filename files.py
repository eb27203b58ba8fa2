"""Files: written whole or not at all, and read only if they are files and not too large."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# At the end of the name: the temporary name must not be too long for a file system (255 bytes).
_KEPT_CHARACTERS = 40
_BLOCK = 1 << 16
# A write that fails for one of these reasons does not name its file.
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
# What file systems without hard links answer.
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EINVAL}
_NOT_FILES = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


@contextmanager
def atomic(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` when the block ends without an error.

    After an error the temporary file is removed, and a file that was at `path` before is unchanged. Each use
    has a temporary name of its own, so programs that write the same file at the same time do not mix: the
    last one wins, or without `overwrite` the first one. The temporary name ends like `path`, since
    `keras.Model.save` reads the format from the ending. Only a program that is killed leaves a file
    `.partial-...` behind.

    Example:

    ```python
    with atomic("model.keras") as partial:
        model.save(partial)
    ```

    Args:
        path: path of the file. Its folder is made if it does not exist.
        overwrite: False to refuse a path that exists, also if another program makes it in the meantime.

    Raises:
        FileExistsError: if `path` exists and `overwrite` is False.
        OSError: if the file cannot be written; names `path`.
    """
    path = Path(path)
    if not overwrite:
        check_absent([path])
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{path.name[-_KEPT_CHARACTERS:]}")
    try:
        yield partial
        if overwrite:
            partial.replace(path)
        else:
            _rename_exclusively(partial, path)
    except OSError as error:
        if (named := _named(error, partial, path)) is None:
            raise
        raise named from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | os.PathLike[str], overwrite: bool = False) -> Iterator[Path]:
    """Yields a temporary folder beside `path` and renames it to `path` when the block ends without an error.

    After an error the temporary folder is removed. Only a program that is killed leaves a folder
    `.partial-...` behind.

    Args:
        path: path of the folder, which must not exist or be empty.
        overwrite: True to delete a folder that is there, with all that is in it, before the renaming.

    Raises:
        FileExistsError: if there is a file, or a folder that is not empty and `overwrite` is False.
        OSError: if something in the folder cannot be written; names it with its final path.
    """
    path = Path(path)
    _check_empty(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{path.name[-_KEPT_CHARACTERS:]}")
    partial.mkdir()
    try:
        yield partial
        _check_empty(path, overwrite)
        if path.exists():
            shutil.rmtree(path)
        partial.replace(path)
    except OSError as error:
        if (named := _named(error, partial, path)) is None:
            raise
        raise named from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _named(error, partial, path):
    """The error with the final path, if it is about the temporary path or what is in it; or None."""
    name = error.filename
    if name is None and error.errno in _WRITE_ERRORS:
        return OSError(error.errno, error.strerror, str(path))
    if isinstance(name, str) and Path(name).is_relative_to(partial):
        return OSError(error.errno, error.strerror, str(path / Path(name).relative_to(partial)))
    return None


def _check_empty(path, overwrite):
    is_folder = path.is_dir() and not path.is_symlink()
    if os.path.lexists(path) and not (is_folder and (overwrite or not any(path.iterdir()))):
        raise _exists(path)


def _rename_exclusively(partial, path):
    """Renames a file in one step, unless another program has made the new path."""
    try:
        os.link(partial, path)  # the caller removes the first name
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links, such as FAT. An empty file reserves the name. A program that is
        # killed before the next line leaves it empty.
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            raise _exists(path) from None
        partial.replace(path)


def _exists(path):
    return FileExistsError(f"{path} exists already; it is not overwritten")


def check_absent(paths: Iterable[Path]) -> None:
    """Raises FileExistsError for the first path that exists."""
    for path in paths:
        if path.exists():
            raise _exists(path)


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Finds out before long work whether files can be written into a folder, which need not exist.

    Raises:
        NotADirectoryError: if it, or what is above it, is a file.
        PermissionError: if it, or the existing folder above it, cannot be written.
    """
    there = Path(folder)
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"{there} is a file; expected a folder for the results")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{there}: no permission to write into this folder")


def cache_folder() -> Path:
    """The folder of what was fetched: the environment variable MULTIBOX_HOME, or `~/.cache/multibox`.

    Raises:
        RuntimeError: if the user of the ~ has no home folder.
    """
    return Path(os.environ.get("MULTIBOX_HOME") or "~/.cache/multibox").expanduser()


def is_file(path: str | os.PathLike[str]) -> bool:
    """As `Path.is_file`, also for names that no file can have, such as those that are too long."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """As `Path.is_dir`, also for names that no folder can have."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuses what is not a file. Reading a pipe waits for a writer, and reading a device may never end.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        ValueError: for a folder, pipe, device or socket; names the path and what it is.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        what = next((name for is_kind, name in _NOT_FILES if is_kind(mode)), "no regular file")
        raise ValueError(f"{os.fspath(path)}: expected a file, but this is {what}")


def read_bytes(path: str | os.PathLike[str], limit: int) -> bytes:
    """The content of a file.

    Args:
        path: path of the file.
        limit: largest size in bytes.

    Raises:
        FileNotFoundError: if there is nothing at the path.
        OSError: if the file cannot be read; names it.
        ValueError: for a larger file, and for a folder, pipe or device; names it.
    """
    check_regular(path)
    with Path(path).open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limit:
            raise ValueError(f"{os.fspath(path)}: file is too large: {size} bytes (limit {limit})")
        return file.read(size) if size else _read_blocks(file, limit)


def _read_blocks(file, limit):
    """Reads a file that states no size: an empty one, or one of the kernel."""
    data = bytearray()  # `read` allocates what it is asked for
    while len(data) < limit and (block := file.read(min(_BLOCK, limit - len(data)))):
        data += block
    return bytes(data)


def read_text(path: str | os.PathLike[str], limit: int) -> str:
    """The content of a text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: for other encodings; names the file. Otherwise as `read_bytes`.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{os.fspath(path)}: expected a text file in UTF-8; {error.reason} at byte {error.start}"
        ) from error
