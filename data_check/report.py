"""`CheckReport`: what `check_dataset` found, to print and to save."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from .anchor_fit import Suggestion
from .coverage import Coverage
from .findings import ERROR, SEVERITIES, WARNING
from .objects import Objects
from .text import report_text

WEAK_LISTED = 1000  # of the objects with one anchor only, in the file


@dataclass(frozen=True, eq=False)
class CheckReport:
    """The result of `check_dataset`; `print` shows it as tables.

    Attributes:
        findings: list of `Finding`, errors first.
        statistics: see `summary.summarize`, and "class_counts": {split: {class: objects}}.
        objects: the `Objects` that are trained on.
        classes: names of the classes.
        classes_found: whether these are the names that occur, as none were given.
        coverage: `Coverage` by the anchors asked for, or None.
        suggestion: `Suggestion` of better anchors, or None.
    """

    findings: list
    statistics: dict
    objects: Objects
    classes: tuple[str, ...]
    classes_found: bool
    coverage: Coverage | None
    suggestion: Suggestion | None

    @property
    def is_clean(self):
        """Whether there is no error and no warning; what is worth knowing only does not count."""
        return not any(finding.severity in (ERROR, WARNING) for finding in self.findings)

    @property
    def suggested_anchors(self):
        """A better `AnchorSpec` for the same heads, or None."""
        return self.suggestion and self.suggestion.anchors

    def counts(self):
        """{severity: number of findings}."""
        of_each = Counter(finding.severity for finding in self.findings)
        return {severity: of_each[severity] for severity in SEVERITIES}

    def __str__(self):
        return report_text(self)

    def to_dict(self):
        """All findings and statistics as plain JSON."""
        return {
            "version": 1,
            "counts": self.counts(),
            "classes": list(self.classes),
            "findings": [finding.to_dict() for finding in self.findings],
            "statistics": self.statistics,
            "coverage": self.coverage and {**_figures(self.coverage), "one_anchor_only": self._weak()},
            "suggestion": self.suggestion
            and {**_figures(self.suggestion.coverage), "code": self.suggestion.code},
        }

    def _weak(self):
        """The objects that only the bipartite step gives an anchor, worst first."""
        objects = self.coverage.objects
        return [
            {
                "split": objects.items[objects.image[i]].split,
                "image_id": objects.items[objects.image[i]].annotation.image_id,
                "object": int(objects.index[i]),
                "name": objects.names[i],
                "box": objects.boxes[i].tolist(),
                "best_iou": float(self.coverage.best_iou[i]),
            }
            for i in self.coverage.weak()[:WEAK_LISTED]
        ]

    def save(self, folder):
        """Writes `report.json`, `report.txt` and the pictures `findings.png`, `boxes.png`, `anchors.png`.

        A picture of nothing is left out, and removed if an earlier run wrote it. Each file is written under
        another name first, so that there is no half file.

        Args:
            folder: is made if it does not exist.

        Raises:
            OSError: if the files cannot be written.
        """
        from .pictures import plot_anchors, plot_boxes, plot_findings

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=1, ensure_ascii=False)
        _write(folder / "report.json", lambda path: path.write_text(f"{text}\n", encoding="utf-8"))
        _write(folder / "report.txt", lambda path: path.write_text(f"{self}\n", encoding="utf-8"))
        for name, plot in (("findings", plot_findings), ("boxes", plot_boxes), ("anchors", plot_anchors)):
            _save_figure(folder / f"{name}.png", plot(self))


def _figures(coverage):
    return {"anchors": coverage.anchors.get_config(), "by_size": coverage.rows()}


def _save_figure(path, figure):
    if figure is None:
        path.unlink(missing_ok=True)
        return
    import matplotlib.pyplot as plt

    _write(path, lambda partial: figure.savefig(partial, dpi=110, format="png"))
    plt.close(figure)


def _write(path, write):
    partial = path.with_name(f"{path.name}.partial")
    write(partial)
    partial.replace(path)
