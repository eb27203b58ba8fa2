"""One file out of a ZIP archive, and nothing else."""

import zipfile
import zlib
from pathlib import Path

from ..messages import one_line
from .download import cannot_write
from .file_lock import locked

_ENCRYPTED = 0x1  # bit of a member's flags
_BLOCK = 1 << 20


def extract_member(archive, member, target, max_bytes):
    """Writes one member of a ZIP archive to a path that the caller chooses, unless it is there already.

    Names in the archive are only compared, never used as paths. The file appears whole or not at all.

    Args:
        archive: path of the ZIP file.
        member: name in the archive.
        target: path of the file to write.
        max_bytes: size beyond which it is not extracted.

    Returns:
        `target` as a `pathlib.Path`.

    Raises:
        DownloadError: if the member is not there yet and cannot be written.
        ValueError: for a broken or encrypted archive, or a member that is not in it or too large.
    """
    target = Path(target)
    try:
        with zipfile.ZipFile(archive) as zipped:
            info = _find(zipped, member, archive)
            if info.file_size > max_bytes:
                raise ValueError(
                    f"{archive}: {member} has {info.file_size} bytes, expected at most {max_bytes}"
                )
            _write_once(zipped, info, target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(
            f"{archive}: not a readable ZIP file, delete it to fetch it anew: {one_line(error, 200)}"
        ) from error
    return target


def _write_once(zipped, info, target):
    try:
        # Without the lock, whose file cannot be made in a cache that may only be read.
        if _holds(target, info):
            return
        with locked(target):
            if not _holds(target, info):
                _write(zipped, info, target)
    except OSError as error:
        raise cannot_write(target, error) from error


def _find(zipped, member, archive):
    names = zipped.namelist()
    if member not in names:
        listed = one_line(", ".join(names[:20]), 200) or "none"
        raise ValueError(f"{archive}: has no file {member!r}, only {listed}")
    info = zipped.getinfo(member)
    if info.flag_bits & _ENCRYPTED:
        raise ValueError(f"{archive}: {member} is encrypted")
    return info


def _holds(path, info):
    if not path.is_file() or path.stat().st_size != info.file_size:
        return False
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            crc = zlib.crc32(block, crc)
    return crc == info.CRC


def _write(zipped, info, target):
    """No more bytes than the archive's directory states are ever read, and their CRC is checked."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        with zipped.open(info) as source, partial.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
