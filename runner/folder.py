"""The folder of a run."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..files import atomic

CONFIG, VERSIONS, LOG = "config.yaml", "versions.json", "log.txt"
BEST, HISTORY = "best.keras", "history.csv"
# file: what it is.
FILES = {
    BEST: "the model with the highest mAP on the validation images",
    "last.keras": "the model after the last epoch, from which a run goes on",
    HISTORY: "the losses, the mAP and the learning rate of each epoch",
    "loss.png": "the same as curves",
    "samples.jpg": "training images as the model sees them",
    "detections.jpg": "validation images with annotations (dashed) and detections",
    "report.html": "what the best model can do and why it fails, to look at in a browser",
    CONFIG: "what was trained: `multibox train config.yaml` repeats it",
    VERSIONS: "what it was trained with",
    LOG: "what this command has printed",
}


def new_folder(folder: Path, force: bool) -> Path | None:
    """Makes the folder of a new run.

    Args:
        folder: its path.
        force: whether an earlier run makes place. It is renamed, not deleted.

    Returns:
        The new path of the earlier run, or None.

    Raises:
        FileExistsError: if there are files in the folder and `force` is False.
    """
    moved = None
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not force:
            raise FileExistsError(
                f"{folder} exists already. Choose another --name, go on with it by --resume {folder}, or "
                "move it aside with --force"
            )
        number = 1
        while (moved := folder.with_name(f"{folder.name}-old-{number}")).exists():
            number += 1
        folder.rename(moved)
    folder.mkdir(parents=True, exist_ok=True)
    return moved


def write_text(path: Path, text: str) -> None:
    """Writes a text file whole or not at all."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure whole or not at all, and closes it."""
    import matplotlib.pyplot as plt

    with atomic(path) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)


def versions() -> dict[str, Any]:
    """What a run is trained with: packages, device, and the state of the git repository in this folder."""
    import keras

    from .. import __version__

    backend = keras.backend.backend()
    packages = ("keras", backend, "numpy", "opencv-python-headless", "pillow", "h5py")
    return {
        "multibox": __version__,
        "backend": backend,
        **{name: _version(name) for name in packages},
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "devices": _devices(keras),
        "git": _git_state(),
    }


def save_versions(path: Path) -> dict[str, Any]:
    """Writes `versions` to a file and returns them."""
    found = versions()
    write_text(path, json.dumps(found, indent=2) + "\n")
    return found


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _devices(keras):
    try:
        return [str(device) for device in keras.distribution.list_devices()]
    except Exception:  # not every backend can list them
        return []


def _git_state():
    """{"commit": ..., "changed": whether files differ from it}, or None outside a repository."""

    def git(*arguments):
        command = ["git", "-C", str(Path.cwd()), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return {"commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
