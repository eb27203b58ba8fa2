"""Packages that only some functions need."""

from __future__ import annotations

from importlib.util import find_spec


class MissingPackageError(ModuleNotFoundError):
    """A package that a function needs is not installed; the message says how to install it."""


def need_packages(owner: str, extra: str, *names: str) -> None:
    """Raises MissingPackageError for the first package that is not installed.

    Args:
        owner: name of the calling function.
        extra: the extra of this package that installs them.
        *names: names of the packages.
    """
    for name in names:
        if find_spec(name) is None:
            raise MissingPackageError(
                f"{owner}: needs the package {name}, which is not installed: pip install {name}, or "
                f"the extra {extra} of multibox",
                name=name,
            )
