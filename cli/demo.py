"""`multibox demo`: trains, evaluates and draws on the built-in data set."""

from pathlib import Path
from typing import Annotated

import typer

from .backend import start_keras


def demo(
    output: Annotated[Path, typer.Option(help="Output folder.")] = Path("runs/demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the 2000 training images.")] = 11,
):
    """Train SSD7 on the built-in shapes data set, evaluate it and draw its detections."""
    folder = _free_folder(output)
    print(f"Training SSD7 on drawn shapes: {epochs} epochs, 15 to 40 seconds each on two CPU cores.\n")
    start_keras()
    from ..demo import run_demo

    result = run_demo(folder, epochs=epochs)
    print(f"\n{result}\n\nWritten to {folder}:")
    for name, what in (
        ("detector.keras", "the trained model"),
        ("history.csv", "the losses of each epoch"),
        ("loss.png", "the losses as curves"),
        ("detections.png", "test images with ground truth (dashed) and detections"),
        ("ap.txt", "the table above"),
        ("best.keras", "the model with the highest mAP on the test images, written while training"),
        ("last.keras", "the model after the latest epoch, written while training"),
    ):
        print(f"  {name:15} {what}")
    print(
        f'\nNext: open {folder / "detections.png"}, then see "Train on your data" in README.md. '
        "notebooks/ssd7_quickstart.ipynb does the same cell by cell."
    )


def _free_folder(folder):
    """The folder, or the first free one of <folder>-2, -3, ... if it contains an earlier run."""
    number, free = 1, folder
    while (free / "history.csv").exists():
        number += 1
        free = folder.with_name(f"{folder.name}-{number}")
    if free != folder:
        print(f"{folder} contains an earlier run, which is kept.")
    return free
