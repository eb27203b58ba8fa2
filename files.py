"""Write a file whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

# At the end of the name: the temporary name must not be too long for a file system (255 bytes).
_KEPT_CHARACTERS = 40
# A write that fails for one of these reasons does not name its file.
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def atomic(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[Path]:
    """Yields a temporary path beside `path` and renames it to `path` when the block ends without an error.

    After an error the temporary file is removed, and a file that was at `path` before is unchanged. Each use
    has a temporary name of its own, so programs that write the same file at the same time do not mix: the
    last one wins. The temporary name ends like `path`, since `keras.Model.save` reads the format from the
    ending. Only a program that is killed leaves a file `.partial-...` behind.

    Example:

    ```python
    with atomic("model.keras") as partial:
        model.save(partial)
    ```

    Args:
        path: path of the file. Its folder is made if it does not exist.
        overwrite: False to refuse a path that exists.

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
        if not overwrite:
            check_absent([path])
        partial.replace(path)
    except OSError as error:
        if error.filename == str(partial) or (error.filename is None and error.errno in _WRITE_ERRORS):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def check_absent(paths: Iterable[Path]) -> None:
    """Raises FileExistsError for the first path that exists."""
    for path in paths:
        if path.exists():
            raise FileExistsError(f"{path} exists already; it is not overwritten")
