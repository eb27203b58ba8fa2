"""What is done when somebody imports a package of others.

`keras.models.load_model` finds the classes of a saved model only if they are registered, which happens when
their modules are imported. `import multibox` does not import them, because they need Keras.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder

BACKENDS = ("tensorflow", "jax", "torch")


def register(package: str, modules: tuple[str, ...]) -> None:
    """Imports modules that register classes with Keras: now if it is imported, otherwise right afterwards.

    Args:
        package: name of the package.
        modules: names of its modules, relative to it.
    """
    if "keras" in sys.modules:
        _import_all(package, modules)
    else:
        on_import("keras", partial(_import_keras, package, modules))


def on_import(name: str, around: Callable[[Callable[[], None]], None]) -> None:
    """Runs a function around the first import of a package that is not imported yet.

    Args:
        name: name of the package.
        around: gets a function that executes the package, and calls it.
    """
    sys.meta_path.insert(0, _Finder(name, around))


def _import_keras(package, modules, run):
    try:
        run()
    except ModuleNotFoundError as error:
        if error.name not in BACKENDS:
            raise
        raise _missing(error.name) from None
    _import_all(package, modules)


def _import_all(package, modules):
    for module in modules:
        import_module(f".{module}", package)


class _Finder(MetaPathFinder):
    """Finds one package as the other finders do, with a loader that calls `around`."""

    def __init__(self, name, around):
        self.name, self.around = name, around

    def find_spec(self, name, path=None, target=None):
        if name != self.name:
            return None
        # Those before it have been asked. Another one for the same package may come after it.
        after = sys.meta_path.index(self) + 1 if self in sys.meta_path else 0
        for finder in sys.meta_path[after:]:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                # A program may only ask whether there is the package, so the finder stays until its import.
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self)
                return spec
        return None


class _Loader(Loader):
    def __init__(self, loader, finder):
        self.loader, self.finder = loader, finder

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        self.finder.around(partial(self.loader.exec_module, module))
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)


def _missing(backend):
    return ModuleNotFoundError(
        f"multibox: the backend of Keras is {backend}, which is not installed: pip install {backend}, "
        'or set the environment variable KERAS_BACKEND to a backend you have: "tensorflow", "jax" or "torch"',
        name=backend,
    )
