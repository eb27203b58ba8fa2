"""What a run tells on the way: lines on the terminal and in its log, events for TensorBoard."""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import keras

TIMED_STEPS = 3  # after the first, which compiles


class Report:
    """Prints lines, and writes them to a file once there is one."""

    def __init__(self, quiet: bool = False):
        self.quiet = quiet
        self._lines = []
        self._path = None

    def __call__(self, text: str = "") -> None:
        if not self.quiet:
            print(text, flush=True)
        if self._path is None:
            self._lines.append(text)
        else:
            self.note(text)

    def note(self, text: str) -> None:
        """Writes a line to the file only, if there is one."""
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    def write_to(self, path: Path) -> None:
        """Names the file; it gets all lines so far."""
        self._path = path
        for line in self._lines:
            self.note(line)


class _Timer:
    """Measures steps until it knows how long one takes. The first one compiles and is left out."""

    def __init__(self):
        self.begin, self.count = None, 0

    def step(self):
        """Counts a step; returns the seconds of one when they become known, otherwise None."""
        now = time.perf_counter()
        if self.begin is None:
            self.begin = now
            return None
        self.count += 1
        return (now - self.begin) / self.count if self.count == TIMED_STEPS else None


class Progress(keras.callbacks.Callback):
    """Tells after some steps how long an epoch takes; logs the losses of each epoch.

    Args:
        report: gets the lines.
        epochs: number of the last epoch.
        steps: steps of an epoch.
        events: folder for TensorBoard, or None.
    """

    def __init__(self, report: Report, epochs: int, steps: int, events: Path | None):
        super().__init__()
        # `train` keeps changed numbers of a callback for a resumed run, which has to measure again.
        self._report, self._timer, self._events = report, _Timer(), events
        self._epochs, self._steps = epochs, steps

    def on_train_batch_end(self, batch, logs=None):
        seconds = self._timer.step()
        if seconds is None:
            return
        if not self._report.quiet and sys.stdout.isatty():
            print()  # ends the line of the progress bar
        self._report(
            f"An epoch takes about {duration(seconds * self._steps)}, validation not counted: {self._steps} "
            f"steps of {seconds:.2g} s."
        )

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        losses = ", ".join(f"{name} {value:.4g}" for name, value in logs.items() if "/" not in name)
        self._report.note(f"Epoch {epoch + 1} of {self._epochs}: {losses}")
        if self._events is not None:
            _write_events(self._events, epoch, logs)


def events_folder(folder: Path) -> Path | None:
    """The folder for TensorBoard's events, or None if TensorBoard is not installed."""
    return folder / "events" if find_spec("tensorboard") else None


def _write_events(folder, epoch, logs):
    """Adds an event file with the values of an epoch; TensorBoard joins all files of a folder."""
    from tensorboard.summary import Writer

    writer = Writer(str(folder))
    for name, value in logs.items():
        part = "validation" if name.startswith("val_") else "training"
        writer.add_scalar(f"{name.removeprefix('val_')}/{part}", float(value), epoch + 1)
    writer.close()


def duration(seconds: float) -> str:
    """A time in words: 8 s, 3 min, 1 h 20 min."""
    if seconds < 60:
        return f"{max(seconds, 1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
