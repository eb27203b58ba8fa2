"""Maps the package `multibox` to the repository's root; pyproject.toml holds everything else."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildPackage(build_py):
    """Leaves this file out of the package, whose folder is the repository's root."""

    def find_package_modules(self, package, package_dir):
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != "setup"]


setup(
    cmdclass={"build_py": BuildPackage},
    package_dir={"multibox": "."},
    # Folders with an __init__.py; tests, notebooks and benchmarks have none.
    packages=["multibox", *(f"multibox.{name}" for name in find_packages())],
    package_data={
        "multibox": ["py.typed"],
        "multibox.report": ["templates/*"],
        "multibox.exporting": ["templates/*"],
    },
)
