from __future__ import annotations

import inspect
import os
import pickle
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pytest

from multibox.arguments import checked

if TYPE_CHECKING:
    from nowhere import Axes


@checked(count=(1, 100), share=0)
def function(
    count: int = 1,
    share: float | None = None,
    *,
    path: str | os.PathLike[str] = "a",
    flag: bool = False,
    mode: Literal["train", "test"] = "train",
    names: Sequence[str | None] | None = None,
    size: tuple[int, int] | None = None,
    call: Callable[[int], int] | None = None,
    array: np.ndarray = None,
    axes: Axes | None = None,
    **others,
) -> int:
    """What it does."""
    return count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": "5"}, "function: count must be a whole number, got str '5'"),
        ({"count": True}, "function: count must be a whole number, got bool True"),
        ({"count": 1.0}, "function: count must be a whole number, got float 1.0"),
        ({"count": None}, "function: count must be a whole number, got None"),
        ({"share": False}, "function: share must be a number or None, got bool False"),
        ({"path": 5}, "function: path must be a path, got int 5"),
        ({"flag": 1}, "function: flag must be True or False, got int 1"),
        ({"names": "ab"}, "names must be a sequence (each element a string or None) or None, got str 'ab'"),
        ({"names": ["a", 5]}, "function: names must be a sequence"),
        ({"size": (5,)}, "function: size must be 2 values, each a whole number or None, got tuple (5,)"),
        ({"size": (5, 1.5)}, "function: size must be 2 values"),
        ({"call": 5}, "function: call must be a function or None, got int 5"),
        ({"array": [1, 2]}, "function: array must be an array, got list [1, 2]"),
        ({"axes": 5}, "function: axes must be an Axes or None, got int 5"),
    ],
)
def test_wrong_kinds(arguments, message):
    with pytest.raises(TypeError) as caught:
        function(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "function: count must be at least 1, got 0"),
        ({"count": 10**9}, "function: count must be at most 100, got 1000000000"),
        ({"share": -0.5}, "function: share must be at least 0, got -0.5"),
        ({"share": float("nan")}, "function: share must be a number, got nan"),
        ({"mode": "tran"}, "mode must be \"train\" or \"test\", got str 'tran'; did you mean 'train'?"),
    ],
)
def test_wrong_values(arguments, message):
    with pytest.raises(ValueError) as caught:
        function(**arguments)
    assert message in str(caught.value)


def test_right_values():
    class Axes:
        pass

    assert function(np.int64(3), np.float32(0.5)) == 3
    assert function(2, 1, size=[3, np.int32(4)], names=("a", None), axes=Axes(), more=5) == 2
    assert function(size=np.array([3, 4]), call=len, array=np.zeros(3), flag=np.bool_(True)) == 1
    assert function(array=None) == 1  # a default is not checked


def test_a_checked_function_looks_as_before():
    assert function.__doc__ == "What it does."
    assert list(inspect.signature(function).parameters)[:2] == ["count", "share"]
    assert pickle.loads(pickle.dumps(function)) is function
    with pytest.raises(TypeError, match="multiple values for argument 'count'"):
        function(1, count=2)


@checked()
def swapped(number: int, path: str):
    pass


@checked()
def pair(path: str, number: int, array: np.ndarray | None = None):
    pass


def test_hints_at_other_arguments():
    with pytest.raises(TypeError, match=r"number must be .*, got str 'a'; are the arguments swapped"):
        swapped("a", 5)
    with pytest.raises(TypeError, match=r"got ndarray .*; is it meant for array"):
        pair(np.zeros(2), 5)


def test_a_class_is_checked_when_it_is_made():
    @checked(size=1)
    class Thing:
        def __init__(self, size: int):
            self.size = size

    assert Thing(3).size == 3
    with pytest.raises(TypeError, match="Thing: size must be a whole number, got str 'x'"):
        Thing("x")
