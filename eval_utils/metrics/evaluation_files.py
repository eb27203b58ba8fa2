"""Writes the result of an evaluation to files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...arguments import checked
from ...files import atomic, check_absent
from .plots import plot_precision_recall, plot_scores

if TYPE_CHECKING:
    from .result import EvaluationResult

# Name of each file and what it holds.
EVALUATION_FILES = {
    "ap.txt": "the table",
    "ap.json": "the same as numbers",
    "ap.csv": "a line for each class",
    "precision_recall.png": "precision and recall of each class",
    "scores.png": "precision, recall and F1 against the least score",
}


@checked()
def save_evaluation(
    result: EvaluationResult, folder: str | os.PathLike[str], *, overwrite: bool = False
) -> None:
    """Writes a result to files.

    | file | what |
    |---|---|
    | `ap.txt` | the table |
    | `ap.json` | `to_dict` |
    | `ap.csv` | `to_csv` |
    | `precision_recall.png` | `plot_precision_recall` |
    | `scores.png` | `plot_scores` |

    Args:
        result: the result of `evaluate_voc` or `evaluate_coco`.
        folder: path of the folder; created if necessary.
        overwrite: whether to replace the files of an earlier result.

    Raises:
        FileExistsError: if one of the files exists and `overwrite` is False.
    """
    import matplotlib.pyplot as plt

    text, numbers, table, *plots = (Path(folder) / name for name in EVALUATION_FILES)
    if not overwrite:
        check_absent([text, numbers, table, *plots])
    with atomic(text, overwrite) as partial:
        partial.write_text(f"{result}\n", encoding="utf-8")
    with atomic(numbers, overwrite) as partial:
        content = json.dumps(result.to_dict(), indent=2, ensure_ascii=False)
        partial.write_text(f"{content}\n", encoding="utf-8")
    result.to_csv(table, overwrite=overwrite)
    for path, draw in zip(plots, (plot_precision_recall, plot_scores), strict=True):
        figure = draw(result)
        with atomic(path, overwrite) as partial:
            figure.savefig(partial, dpi=100)
        plt.close(figure)
