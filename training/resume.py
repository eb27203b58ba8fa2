"""Where a run begins: at its first step, or where its checkpoint left it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from . import processes
from .batches import identity_of
from .best import VAL_LOSS
from .callback_state import restore
from .log import number_of_epochs, write_log
from .mean_average_precision import MAP
from .state import RunState, build_optimizer, load_run, restore_model, share_state


def check_free(output: Path) -> None:
    """Refuses a folder with a run."""
    epochs = number_of_epochs(output / "history.csv")
    if epochs or (output / "last.keras").exists():
        raise FileExistsError(
            f"{output} holds a run ({epochs} finished epochs): go on with it by resume=True, or "
            "choose another output folder"
        )


def begin(model: keras.Model, data: Any, output: Path, resume: bool) -> RunState:
    """The state in which a run begins: that of last.keras, or a new one. The model gets it, too."""
    build_optimizer(model)
    last, identity = output / "last.keras", identity_of(data)
    state = processes.of_first(lambda: _state(output, identity, resume))
    if state is None:
        share_state(model)  # the initial weights may be random ones
        return RunState(data=identity)
    restore_model(last, model)
    best = output / "best.keras"
    measured = any(row.keys() & {VAL_LOSS, MAP} for row in state.rows)
    if measured and processes.is_first() and not best.exists():
        warnings.warn(
            f"train: {best} is missing; it is written again after an epoch that is better than all before",
            stacklevel=4,  # beyond both decorators of `train`
        )
    state.data = identity
    return state


def _state(output, identity, resume):
    """What last.keras holds, after a check; the log follows it. None if a new run begins."""
    last, log = output / "last.keras", output / "history.csv"
    if not resume or not last.exists():
        if number_of_epochs(log):
            raise FileExistsError(f"{log} holds epochs of a run, but there is no {last} to resume it from")
        return None
    state = load_run(last)
    if state.step and state.data != identity:
        differing = [
            f"{name} {state.data.get(name)}, now {identity.get(name)}"
            for name in dict.fromkeys([*state.data, *identity])
            if state.data.get(name) != identity.get(name)
        ]
        raise ValueError(
            f"train: {last} was written after step {state.step} of epoch {state.epoch + 1}, and only "
            f"the same data go on from there; it had {'; '.join(differing)}"
        )
    if state.rows:
        write_log(log, state.rows)  # it may lack a row, or be damaged
    return state


def check_callbacks(callbacks: list[keras.callbacks.Callback], state: RunState) -> None:
    """Refuses other callbacks than those whose state a checkpoint holds."""
    names = [type(callback).__name__ for callback in callbacks]
    before = [name for name, _ in state.callbacks]
    if state.callbacks and names != before:
        now = ", ".join(names) or "none"
        raise ValueError(
            f"train: the run had the callbacks {', '.join(before)}, now {now}; "
            "their state can only go on in the same callbacks"
        )
    for callback in callbacks:
        if state.rows and isinstance(callback, keras.callbacks.CSVLogger):
            callback.append = True  # otherwise it would delete the rows of earlier runs


def check_restoring(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Refuses a callback that would set the weights and the epoch, too."""
    if any(isinstance(callback, keras.callbacks.BackupAndRestore) for callback in callbacks):
        raise ValueError(
            "train: BackupAndRestore would set other weights and another epoch than last.keras; leave it out "
            "and pass resume=True, which does what it does"
        )


def end_again(model: keras.Model, callbacks: list[keras.callbacks.Callback], state: RunState) -> None:
    """Puts the best weights into the model of a finished run, if EarlyStopping had done so."""
    for callback, (name, attributes) in zip(callbacks, state.callbacks, strict=False):
        if isinstance(callback, keras.callbacks.EarlyStopping) and type(callback).__name__ == name:
            restore(callback, attributes, state.arrays)
            callback.set_model(model)
            callback.on_train_end()


def with_earlier(rows: list[dict[str, float]], latest: keras.callbacks.History) -> keras.callbacks.History:
    """A history with the rows of earlier runs before its own."""
    for name in dict.fromkeys(name for row in rows for name in row if name != "epoch"):
        earlier = [row[name] for row in rows if name in row]
        latest.history[name] = earlier + latest.history.get(name, [])
    latest.epoch = [int(row["epoch"]) for row in rows] + getattr(latest, "epoch", [])
    return latest
