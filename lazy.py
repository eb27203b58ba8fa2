"""Packages whose names are imported at their first use (PEP 562).

Reading and checking data needs no Keras, whose backend takes seconds to import. So the package imports
nothing in advance: the `__getattr__` of `lazy_names` imports the module of a name that somebody asks for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from .deprecated import warn_renamed


def lazy_names(
    package: str,
    modules: Mapping[str, str],
    *,
    submodules: Iterable[str] = (),
    former: Mapping[str, str] | None = None,
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of a package.

    Args:
        package: name of the package.
        modules: {module, relative to the package: the names it provides, separated by blanks}.
        submodules: more submodules, besides those in `modules`, that are attributes of the package before
            anybody has imported them.
        former: {former name: new name}; former names work and warn.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}
    within = (module.split(".")[0] for module in modules if not module.startswith("."))
    submodules, former = {*within, *submodules}, former or {}

    def __getattr__(name):
        if name in former:
            warn_renamed(package, name, former[name])
            return getattr(sys.modules[package], former[name])
        if name in homes:
            value = getattr(import_module(f".{homes[name]}", package), name)
            setattr(sys.modules[package], name, value)  # so that the next use does not come here
            return value
        if name in submodules:
            return import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def __dir__():
        return sorted({*vars(sys.modules[package]), *homes, *submodules})

    return __getattr__, __dir__
