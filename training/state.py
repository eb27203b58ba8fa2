"""The state of a run in the middle of it, as one file: a Keras model and what else decides how it goes on."""

from __future__ import annotations

import errno
import io
import json
import os
import warnings
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..files import atomic, check_regular
from . import processes

# Members of the `.keras` file, which is a zip archive. Keras ignores them.
_STATE = "multibox/run.json"
_ARRAYS = "multibox/run.npz"
_MAX_STATE_BYTES = 256 << 20
_VERSION = 2
# What zipfile, json and NumPy raise for a damaged file.
_DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError)


@dataclass
class RunState:
    """Where a run is.

    Attributes:
        epoch: number of finished epochs.
        step: number of finished steps of the epoch after them.
        stopped: the `epochs` of the run that a callback has stopped; 0 if none has.
        rows: the log, a dictionary for each finished epoch.
        data: what must be the same for a run to go on within an epoch.
        recipe: name of the recipe; "" without one.
        precision: the policy that the run has been given; "" for none.
        callbacks: [class name, attributes that have changed] of each callback.
        arrays: running sums of metrics and states of random generators by name, and arrays of callbacks.
    """

    epoch: int = 0
    step: int = 0
    stopped: int = 0
    rows: list[dict[str, float]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    recipe: str = ""
    precision: str = ""
    callbacks: list[list[Any]] = field(default_factory=list)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def save_run(path: Path, model: keras.Model, state: RunState) -> None:
    """Writes a model with its optimizer and the state of the run, whole or not at all."""
    content = {"version": _VERSION, **asdict(state)}
    arrays = io.BytesIO()
    np.savez(arrays, **content.pop("arrays"))
    with atomic(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial, "a") as archive:
            archive.writestr(_STATE, json.dumps(content))
            archive.writestr(_ARRAYS, arrays.getvalue())
        with partial.open("rb") as file:
            os.fsync(file.fileno())  # the name must not reach the disk before the content


def load_run(path: Path) -> RunState:
    """Reads what `save_run` wrote besides the model.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file without the state of a run, or a damaged one; names it.
    """
    check_regular(path)
    try:
        content = _read_state(path)
        version = None if content is None else content.pop("version")
        state = RunState(**content) if version == _VERSION else None
    except (*_DAMAGES, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: damaged state of a run: {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # of zipfile: a place before the beginning of the file
            raise
        raise ValueError(f"{path}: damaged state of a run: {error}") from error
    if content is None:
        raise ValueError(
            f"{path} holds a model, but no state of a run of `train`: load the model, and train it into "
            "another folder"
        )
    if state is None:
        raise ValueError(f"{path}: state of a run in version {version}, expected {_VERSION}")
    return state


def _read_state(path):
    """The fields of a `RunState` with the version, or None in a file of Keras alone."""
    with zipfile.ZipFile(path) as archive:
        if _STATE not in archive.namelist():
            return None
        if archive.getinfo(_STATE).file_size > _MAX_STATE_BYTES:
            raise zipfile.BadZipFile(f"{_STATE} is larger than {_MAX_STATE_BYTES} bytes")
        _check_stored(archive.getinfo(_ARRAYS), Path(path).stat().st_size)
        bad = archive.testzip()  # the weights, too, before any of them is in a model
        if bad is not None:
            raise zipfile.BadZipFile(f"the check sum of {bad} is wrong")
        content = json.loads(archive.read(_STATE))
        stored = archive.read(_ARRAYS)
        with zipfile.ZipFile(io.BytesIO(stored)) as members:
            for member in members.infolist():
                _check_stored(member, len(stored))
        with np.load(io.BytesIO(stored), allow_pickle=False) as arrays:
            content["arrays"] = dict(arrays)
    return content


def _check_stored(member, size):
    """Arrays may be large, such as the best weights of a callback, but `save_run` does not compress them."""
    if member.file_size > size:
        raise zipfile.BadZipFile(f"{member.filename} is larger than the file that holds it")


def restore_model(path: Path, model: keras.Model) -> None:
    """Puts the weights and the state of the optimizer of a run into a compiled model.

    The first process reads the file, and all have the values.

    Raises:
        ValueError: if the run had another network or optimizer.
    """
    build_optimizer(model)
    processes.of_first(lambda: _load_weights(path, model))
    share_state(model)


def share_state(model: keras.Model) -> None:
    """Gives a model and its optimizer, on one device, the values that they have in the first process."""
    processes.share([*model.variables, *model.optimizer.variables])


def _load_weights(path, model):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "Skipping variable loading for optimizer")
        try:
            model.load_weights(path)
        except (ValueError, UserWarning) as error:
            raise ValueError(
                f"{path} does not fit the model and the optimizer of this run: {str(error).splitlines()[0]}"
            ) from error


def build_optimizer(model: keras.Model) -> None:
    """Makes the variables of the optimizer, once: LossScaleOptimizer makes two more in each `build`."""
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


def random_states(model: keras.Model) -> dict[str, Any]:
    """{name: variable} of the random generators of a model, which a Keras file does not hold."""
    known = {id(variable) for variable in [*model.weights, *model.metrics_variables]}
    states = [variable for variable in model.variables if id(variable) not in known]
    return {f"random/{i}": variable for i, variable in enumerate(states)}


def metric_sums(model: keras.Model) -> dict[str, Any]:
    """{name: variable} of the running sums of a model's metrics."""
    return {f"metric/{i}": variable for i, variable in enumerate(model.metrics_variables)}


def build_metrics(model: keras.Model, target_shape: tuple[int, int]) -> None:
    """Makes the variables of a compiled model's metrics, which Keras makes in the first step."""
    targets = np.zeros((1, *target_shape), np.float32)
    predictions = np.zeros((1, *model.output_shape[1:]), np.float32)
    model.compute_loss(y=targets, y_pred=predictions)
    model.compute_metrics(None, targets, predictions)


def assign(variables: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Puts saved arrays into the variables of the same names. Others keep their values."""
    for name, variable in variables.items():
        if name in arrays:
            variable.assign(arrays[name])


def as_arrays(variables: dict[str, Any]) -> dict[str, np.ndarray]:
    """The values of variables as arrays of their own."""
    return {name: np.array(keras.ops.convert_to_numpy(variable)) for name, variable in variables.items()}


def not_finite(model: keras.Model) -> str | None:
    """The path of the first weight, or sum of gradients, with a NaN or infinite value, or None."""
    sums = [variable for variable in model.optimizer.variables if "gradient_accumulator" in variable.path]
    for weight in [*model.weights, *sums]:
        values = keras.ops.convert_to_numpy(weight)
        # bfloat16 is no floating type of NumPy's own.
        if values.dtype.kind in "fV" and not np.isfinite(values.astype(np.float32, copy=False)).all():
            return weight.path
    return None
