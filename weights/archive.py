"""Extracts weights from ZIP archives in the cache folder."""

import zipfile
from pathlib import Path

from ..files import atomic
from ..messages import one_line
from .download import cannot_use


def extract_member(archive: Path, member: str, max_bytes: int) -> Path:
    """Extracts one file of a ZIP archive into the folder of the archive, unless it is there already.

    Names in the archive are compared, never used as paths.

    Args:
        archive: `pathlib.Path` of the ZIP file.
        member: name in the archive.
        max_bytes: largest size accepted.

    Returns:
        `pathlib.Path` of the file, named `<archive>-<member>`.

    Raises:
        DownloadError: if the file cannot be written.
        ValueError: if the archive is damaged or encrypted, or if the member is missing or too large.
    """
    try:
        data = _read_member(archive, member, max_bytes)
    except Exception as error:  # zipfile raises many kinds for a damaged archive
        remedy = "delete the archive to download it again"
        raise ValueError(f"{archive}: cannot read {member}: {one_line(error, 200)}; {remedy}") from error
    target = archive.with_name(f"{archive.stem}-{member}")
    try:
        if not target.exists() or target.read_bytes() != data:
            with atomic(target) as file:
                file.write_bytes(data)
    except OSError as error:
        raise cannot_use(target, error) from error
    return target


def _read_member(archive, member, max_bytes):
    with zipfile.ZipFile(archive) as zipped:
        size = zipped.getinfo(member).file_size
        if size > max_bytes:
            raise ValueError(f"it has {size} bytes, expected at most {max_bytes}")
        with zipped.open(member) as file:
            return file.read(size + 1)  # unpacks no more than that; the byte beyond the end checks the CRC
