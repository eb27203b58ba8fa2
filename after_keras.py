"""Makes Keras know the layers and losses of this package as soon as both are imported.

`keras.models.load_model` finds the classes of a saved model only if they are registered, which happens when
their modules are imported. `import multibox` does not import them, because they need Keras.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder

BACKENDS = ("tensorflow", "jax", "torch")


def register(package: str, modules: tuple[str, ...]) -> None:
    """Imports modules that register classes: now if Keras is imported, otherwise right after its import.

    Args:
        package: name of the package.
        modules: names of its modules, relative to it.
    """
    if "keras" in sys.modules:
        _import_all(package, modules)
    else:
        sys.meta_path.insert(0, _KerasFinder(package, modules))


def _import_all(package, modules):
    for module in modules:
        import_module(f".{module}", package)


class _KerasFinder(MetaPathFinder):
    """Finds Keras as the other finders do, with a loader that imports the modules afterwards."""

    def __init__(self, package, modules):
        self.package, self.modules = package, modules

    def find_spec(self, name, path=None, target=None):
        if name != "keras":
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(name, path, target)
            if spec is not None:
                # A program may only ask whether Keras exists, so the finder stays until it is imported.
                if spec.loader is not None:
                    spec.loader = _KerasLoader(spec.loader, self)
                return spec
        return None


class _KerasLoader(Loader):
    def __init__(self, loader, finder):
        self.loader, self.finder = loader, finder

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self.loader
        try:
            self.loader.exec_module(module)
        except ModuleNotFoundError as error:
            if error.name not in BACKENDS:
                raise
            raise _missing(error.name) from None
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)
        _import_all(self.finder.package, self.finder.modules)


def _missing(backend):
    return ModuleNotFoundError(
        f"multibox: the backend of Keras is {backend}, which is not installed: pip install {backend}, "
        'or set the environment variable KERAS_BACKEND to a backend you have: "tensorflow", "jax" or "torch"',
        name=backend,
    )
