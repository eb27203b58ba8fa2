"""Former names, which keep working for one release and warn."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable)

# {former: new} of functions that the package and `data_generator` export.
AUGMENTATIONS = {
    "ssd_train": "ssd_augmentation",
    "ssdlite_train": "ssdlite_augmentation",
    "ssd_eval": "resize_only",
    "satellite_train": "satellite_augmentation",
    "constant_size_train": "constant_size_augmentation",
    "variable_size_train": "variable_size_augmentation",
}


def warn_renamed(owner, former, new, stacklevel=3):
    """Warns that `former` of `owner` is now called `new`."""
    warnings.warn(f"{owner}: {former} is now called {new}", DeprecationWarning, stacklevel=stacklevel)


def renamed_arguments(along: dict[str, str] | None = None, **names: str) -> Callable[[Function], Function]:
    """Decorator: takes keyword arguments by their former names.

    Args:
        along: {former: new} of names that exist today with another meaning. They are renamed only in a call
            that has one of `names`.
        **names: former="new".
    """

    def decorate(function):
        owner = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args, **kwargs):
            if not names.keys().isdisjoint(kwargs):
                for former, new in {**(along or {}), **names}.items():
                    if former in kwargs:
                        warn_renamed(owner, former, new)
                kwargs = with_new_names(kwargs, {**(along or {}), **names})
            return function(*args, **kwargs)

        return call

    return decorate


def with_new_names(arguments, names):
    """`arguments` under their new names.

    Raises:
        TypeError: if an argument is given under both names.
    """
    renamed = {}
    for name, value in arguments.items():
        new = names.get(name, name)
        if new in renamed:
            raise TypeError(f"{new} is given twice, also under its former name")
        renamed[new] = value
    return renamed
