"""The repository root is the package `multibox`; pyproject.toml holds the tools' settings."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SUBPACKAGES = [
    "cli",
    "models",
    "layers",
    "losses",
    "data_generator",
    "data_generator.augmentation",
    "data_generator.batches",
    "data_generator.formats",
    "data_check",
    "eval_utils",
    "weights",
    "weights.formats",
    "weights.mapping",
]


class BuildPackage(build_py):
    """Leaves this file out of the package, whose folder is the repository's root."""

    def find_package_modules(self, package, package_dir):
        return [found for found in super().find_package_modules(package, package_dir) if found[1] != "setup"]


setup(
    cmdclass={"build_py": BuildPackage},
    name="multibox",
    version="0.1.0",
    description="SSD (Single Shot MultiBox Detector) object detection for Keras 3",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10,<3.14",
    package_dir={"multibox": "."},
    packages=["multibox", *(f"multibox.{name}" for name in SUBPACKAGES)],
    install_requires=[
        "keras>=3.12",
        "tensorflow>=2.18",
        "numpy>=1.26",
        "opencv-python-headless>=4.11",
        "h5py>=3.10",
        "matplotlib>=3.8",
        "tqdm>=4.66",
        "typer>=0.12",
        "defusedxml>=0.7",
        "pillow>=10",
        "msgspec>=0.19",
        "pyyaml>=6",
        "psutil>=5.9",
    ],
    extras_require={
        "notebooks": ["jupyter>=1.0"],
        "test": [
            "pytest>=8",
            "hypothesis>=6.100",
            "ruff>=0.17,<0.18",
            "nbmake>=1.5",
            "ipykernel>=6",
            "jax>=0.5",
        ],
        "docs": ["sphinx>=8", "myst-parser>=4", "furo>=2024.8.6"],
        "coco": ["pycocotools>=2.0.8"],
        "albumentations": ["albumentations>=2.0"],
    },
    entry_points={"console_scripts": ["multibox=multibox.cli:main"]},
)
