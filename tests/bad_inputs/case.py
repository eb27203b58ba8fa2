"""A case of bad input: how it is made, who reads it, and what must come of it."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from multibox.cli import main

# What readers may raise: ImageError, UnicodeError and the like are ValueErrors.
DOCUMENTED = (OSError, ValueError)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST = 2000  # characters of a message; a list of classes or of layouts can be long


@dataclass(frozen=True)
class Refused:
    """An error whose message has the name of the file and these words."""

    words: tuple[str, ...] = ()
    file: str | None = None  # None: that of the target


@dataclass(frozen=True)
class Result:
    """Exactly this value, and warnings with these words; without words no warning."""

    value: Any
    warning: tuple[str, ...] = ()


@dataclass(frozen=True)
class Either:
    """One of these, where versions of a library differ."""

    options: tuple[Refused | Result, ...]


Expected = Refused | Result | Either


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: for the table.
        read: function of a folder that calls the public API and returns a value to compare.
        command: function of a folder that gives the arguments of the command that reads the same.
        file: name of the file whose content is damaged.
    """

    name: str
    read: Callable[[Path], Any]
    file: str
    command: Callable[[Path], list[str]] | None = None


@dataclass(frozen=True)
class Case:
    """One kind of damage.

    Attributes:
        target: who reads it.
        kind: the field and what is wrong with it.
        write: function that writes all files into an empty folder.
        expected: what `target.read` must do.
        command: whether the command must see it, too; the command never looks at some things.
        only_command: whether it is about the command alone.
    """

    target: Target
    kind: str
    write: Callable[[Path], object]
    expected: Expected
    command: bool = True
    only_command: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a reader did: `verdict` is "as expected" or the kind of the fault."""

    verdict: str
    text: str = ""


@dataclass(frozen=True)
class _Done:
    """What a call did: its value or its error, and its warnings."""

    value: Any = None
    error: BaseException | None = None
    warned: tuple[str, ...] = field(default=())


def run_case(case: Case, by_command: bool) -> Outcome:
    """Makes the input and reads it, in a folder that exists only meanwhile."""
    folder = Path(tempfile.mkdtemp(prefix="bad-"))
    try:
        try:
            case.write(folder)
        except Exception as error:  # a mistake in the case itself
            return Outcome("not written", repr(error)[:300])
        if by_command:
            return _judge_command(case, folder, *_run_command(case.target.command(folder)))
        return _judge(case.expected, case.target, folder, _call(case.target.read, folder))
    finally:
        with contextlib.suppress(OSError):
            _remove(folder)


def _remove(folder):
    for parent, folders, _ in os.walk(folder):
        for name in folders:
            if not (Path(parent) / name).is_symlink():
                (Path(parent) / name).chmod(0o700)
    shutil.rmtree(folder)


def _call(read, folder):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            value, error = read(folder), None
        except BaseException as raised:
            value, error = None, raised
    ours = (w for w in caught if not issubclass(w.category, DeprecationWarning | ResourceWarning))
    return _Done(value, error, tuple(str(w.message) for w in ours))


def _judge(expected, target, folder, done):
    if isinstance(expected, Either):
        outcomes = [_judge(option, target, folder, done) for option in expected.options]
        return min(outcomes, key=lambda outcome: outcome.verdict != "as expected")
    if done.error is not None:
        return _judge_error(expected, target, folder, done.error)
    if isinstance(expected, Refused):
        return Outcome("silently wrong", f"accepted as {done.value!r:.300}, warnings {done.warned}")
    if not _same(done.value, expected.value):
        return Outcome("silently wrong", f"got {done.value!r:.300}, expected {expected.value!r:.300}")
    text = " ".join(done.warned)
    if any(word not in text for word in expected.warning):
        return Outcome("silently wrong", f"expected a warning with {expected.warning}, got {done.warned}")
    if done.warned and not expected.warning:
        return Outcome("another warning", str(done.warned))
    return Outcome("as expected", text)


def _judge_error(expected, target, folder, error):
    text = f"{type(error).__name__}: {error}".replace(str(folder), "FOLDER")
    if not isinstance(error, DOCUMENTED):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return Outcome("traceback", f"{text:.300} ({Path(last.filename).name}:{last.lineno})")
    if isinstance(expected, Result):
        return Outcome("wrongly refused", text[:300])
    if (target.file if expected.file is None else expected.file) not in str(error):
        return Outcome("error without file name", text[:300])
    if len(text) > _LONGEST or _CONTROL.search(text) or "\n" in text:
        return Outcome("unclear error", f"{text!r:.300}")
    missing = [word for word in expected.words if word not in text]
    if missing:
        return Outcome("unclear error", f"without {missing}: {text:.300}")
    return Outcome("as expected", text[:300])


def _same(a, b):
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.array_equal(a, b, equal_nan=True)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and a == b


def _run_command(arguments):
    """(exit status or exception, output) of the command in this process."""
    output = io.StringIO()
    with (
        mock.patch("sys.argv", ["multibox", *arguments]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            main()
            status = 0
        except SystemExit as error:
            status = error.code or 0
        except BaseException as error:
            status = error
    return status, output.getvalue()


def _judge_command(case, folder, status, output):
    shown = output.replace(str(folder), "FOLDER")
    if isinstance(status, BaseException):
        return Outcome("traceback", f"{type(status).__name__}: {status}"[:300])
    if "--debug shows where" in output or "Traceback" in output:
        return Outcome("traceback", shown[-300:])
    # A progress bar writes its line again and again.
    if _CONTROL.search(output.replace("\r", "")):
        return Outcome("unclear error", f"control characters on the terminal: {shown!r:.300}")
    expected = case.expected.options if isinstance(case.expected, Either) else (case.expected,)
    outcomes = [_judge_status(option, case.target, status, output, shown) for option in expected]
    return min(outcomes, key=lambda outcome: outcome.verdict != "as expected")


def _judge_status(expected, target, status, output, shown):
    if isinstance(expected, Result):
        if status == 2:
            return Outcome("wrongly refused", shown[-300:])
        return Outcome("as expected", f"status {status}")
    if status == 0:
        return Outcome("silently wrong", f"status 0: {shown[-300:]}")
    if (target.file if expected.file is None else expected.file) not in output:
        return Outcome("error without file name", f"status {status}: {shown[-400:]}")
    return Outcome("as expected", f"status {status}")
