"""Writes the result of an evaluation to files."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ...arguments import checked
from ...files import atomic, check_absent
from .plots import plot_precision_recall
from .voc import VOCResult

# Name of each file and what it holds.
EVALUATION_FILES = {
    "ap.txt": "the table",
    "ap.json": "the same as numbers",
    "precision_recall.png": "precision and recall of each class",
}


@checked()
def save_evaluation(result: VOCResult, folder: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Writes a result as `ap.txt` (the table), `ap.json` (`VOCResult.to_dict`) and `precision_recall.png`.

    Args:
        result: the result of `evaluate_voc`.
        folder: path of the folder; created if necessary.
        overwrite: whether to replace the files of an earlier result.

    Raises:
        FileExistsError: if one of the files exists and `overwrite` is False.
    """
    import matplotlib.pyplot as plt

    text, numbers, plot = (Path(folder) / name for name in EVALUATION_FILES)
    if not overwrite:
        check_absent([text, numbers, plot])
    with atomic(text, overwrite) as partial:
        partial.write_text(f"{result}\n", encoding="utf-8")
    with atomic(numbers, overwrite) as partial:
        content = json.dumps(result.to_dict(), indent=2, ensure_ascii=False)
        partial.write_text(f"{content}\n", encoding="utf-8")
    figure = plot_precision_recall(result)
    with atomic(plot, overwrite) as partial:
        figure.savefig(partial, dpi=100)
    plt.close(figure)
