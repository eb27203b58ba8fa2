"""Loads a saved model from a `.keras` file that may come from outside.

Keras builds whatever the file's configuration describes, which can be layers that hold code, and weights that
fill the memory. Therefore the configuration is read and compared with the stored weights before Keras does.
"""

from __future__ import annotations

import json
import math
import os
import zipfile

import keras

from ..files import check_regular
from ..messages import one_line
from ..weights.formats.keras_file import ZIP_ERRORS, read_keras
from .unallocated import unallocated_weights

CONFIG = "config.json"
MAX_CONFIG = 32 << 20  # bytes; that of SSD512 has 0.1 MB
MAX_DEPTH = 100  # of nested lists and objects
SPARE_NUMBERS = 1 << 20  # in the model and not in the file
CODE = {"Lambda", "__lambda__"}


def load_saved_model(path: str | os.PathLike[str], owner: str) -> keras.Model:
    """The model in a `.keras` file, not compiled.

    Args:
        path: path of the file.
        owner: name of the calling function, for messages.

    Raises:
        ValueError: in one line, if the path is that of a folder, pipe or device, or if the file is damaged,
            is another file, holds code, needs classes that nobody has registered, or declares a model that is
            larger than its weights.
    """
    check_regular(path)
    try:
        config = _read_config(path)
        _check_config(config)
        stored = sum(array.size for arrays in read_keras(path).values() for array in arrays)
        if (declared := _count_numbers(config)) > 2 * stored + SPARE_NUMBERS:
            raise _Refused(f"the model has {declared} numbers, but the file {stored}")
        return keras.models.load_model(path, compile=False)
    except _Refused as error:
        fault = str(error)
    except Exception as error:  # Keras raises many kinds, in texts that repeat the whole configuration
        cause = str(error).rpartition("Exception encountered: ")[2]
        fault = one_line(" ".join(cause.split()) or type(error).__name__, 300)
    raise ValueError(f"{owner}: {path}: expected a model saved as .keras: {fault}")


class _Refused(ValueError):
    """Describes in one line why a file is not loaded."""


def _read_config(path):
    """The configuration of the model, without that of `compile`."""
    if not zipfile.is_zipfile(path):
        raise _Refused("it is no .keras file; load it with keras.models.load_model and save it as .keras")
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(CONFIG).file_size
            if size > MAX_CONFIG:
                raise _Refused(f"{CONFIG} has {size} bytes, expected at most {MAX_CONFIG}")
            with archive.open(CONFIG) as file:
                config = json.loads(file.read(size + 1))
    except _Refused:
        raise
    except RecursionError:
        raise _Refused(f"{CONFIG} is nested too deeply") from None
    except ZIP_ERRORS as error:
        raise _Refused(f"{CONFIG} cannot be read: {one_line(error, 200)}") from None
    if not isinstance(config, dict):
        raise _Refused(f"{CONFIG} is no object")
    return {key: value for key, value in config.items() if key != "compile_config"}


def _check_config(config):
    """Refuses code, unknown classes and deep nesting anywhere in a configuration."""
    waiting = [(config, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise _Refused(f"{CONFIG} is nested too deeply")
        if isinstance(value, dict):
            _check_object(value)
        if isinstance(value, dict | list):
            inner = value.values() if isinstance(value, dict) else value
            waiting += [(child, depth + 1) for child in inner]


def _check_object(value):
    name, module, registered = (value.get(key) for key in ("class_name", "module", "registered_name"))
    if isinstance(name, str) and name in CODE:
        raise _Refused(f"it holds code ({name}), which is not loaded")
    if not isinstance(module, str) or module.split(".")[0] in ("keras", "builtins"):
        return
    if not isinstance(registered, str) or keras.saving.get_registered_object(registered) is None:
        what = f"{one_line(module)}.{one_line(name)}"
        raise _Refused(f"it needs {what}, which is not registered with Keras: import its module first")


def _count_numbers(config):
    """How many numbers the model's weights have. None of them is allocated."""
    with unallocated_weights():
        model = keras.saving.deserialize_keras_object(config)
    return sum(math.prod(variable.shape) for variable in model.variables)
