"""Checks the arguments of public functions against their type hints, so that an error names the argument.

A check takes a few microseconds. Functions that run once for each image, batch or layer call have none.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import os
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, Union, get_args, get_origin

import numpy as np

from .messages import did_you_mean

Target = TypeVar("Target", bound=Callable)
Bounds: TypeAlias = float | tuple[float, float]


class _Rule(NamedTuple):
    """What an argument must be, in words and as a test; `choices` are the values of a `Literal`."""

    words: str
    fits: Callable[[Any], bool]
    choices: tuple = ()


def checked(**bounds: Bounds) -> Callable[[Target], Target]:
    """Decorator of a function, or of a class for its `__init__`: checks each argument that has a type hint.

    - NumPy's numbers are numbers, and whole numbers do for `float`. True and False are no numbers.
    - `np.ndarray` takes everything with `__array__`, such as tensors; a tuple or `Sequence` takes lists,
      tuples and arrays, but no string. Elements are checked, except those of an `Iterable`.
    - A hint whose name is imported for type checkers only is compared by that name.
    - A default value is not checked. Hints that mean none of this are not checked either.

    Args:
        **bounds: least values of numbers, such as `epochs=1`, or (least, most), as in `limits`.

    Raises:
        TypeError: (from the function) for an argument of another kind.
        ValueError: (from the function) for NaN, a number outside its bounds or a value that is not one of a
            `Literal`.
    """

    def decorate(target):
        if inspect.isclass(target):
            target.__init__ = _with_checks(target.__init__, bounds)
            return target
        return _with_checks(target, bounds)

    return decorate


def check_arguments(function: Callable, given: Mapping[str, Any], **bounds: Bounds) -> None:
    """Checks arguments as `checked` does, for the layers, whose signatures Keras reads without decorators.

    Args:
        function: the function that has them.
        given: {name: value}; others than the function's arguments are ignored.
        **bounds: see `checked`.
    """
    rules = _rules(function)
    for name, value in given.items():
        if name in rules:
            rule, default = rules[name]
            if value is default:
                continue
            if not rule.fits(value):
                raise _refusal(function, name, value, given)
            if isinstance(value, float) and value != value:
                raise ValueError(f"{_owner(function)}: {name} must be a number, got nan")
            if name in bounds and isinstance(value, Real):  # None and a word have no size
                check_bounds(f"{_owner(function)}: {name}", value, bounds[name])


def check_bounds(what: str, number: float, bounds: Bounds) -> None:
    """Raises ValueError for a number below the least value, or above the largest one if bounds is a pair."""
    least, most = bounds if isinstance(bounds, tuple) else (bounds, None)
    if number < least:
        raise ValueError(f"{what} must be at least {least}, got {number}")
    if most is not None and number > most:
        raise ValueError(f"{what} must be at most {most}, got {number}")


def _with_checks(function, bounds):
    parameters = inspect.signature(function).parameters
    by_position = [n for n, p in parameters.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = dict(zip(by_position, args, strict=False))
        check_arguments(function, given | kwargs, **bounds)
        return function(*args, **kwargs)

    return call


@functools.cache  # at the first call, when all names of the module are defined
def _rules(function):
    """{name: (`_Rule`, default)} of the arguments that can be checked."""
    parameters = inspect.signature(function).parameters
    return {n: (rule, p.default) for n, p in parameters.items() if (rule := _rule_of(function, p))}


def _owner(function):
    return function.__qualname__.removesuffix(".__init__")


def _refusal(function, name, value, given):
    """The exception for an argument that does not fit."""
    rules = _rules(function)
    rule, _ = rules[name]
    got = "None" if value is None else f"{type(value).__name__} {reprlib.repr(value)}"
    text = f"{_owner(function)}: {name} must be {rule.words}, got {got}"
    if rule.choices:
        return ValueError(text + (did_you_mean(value, rule.choices) if isinstance(value, str) else ""))
    return TypeError(text + _where_it_fits(name, value, given, rules))


def _where_it_fits(name, value, given, rules):
    """A hint if two arguments are swapped, or if the value can only be meant for one that is not given."""
    if isinstance(value, Real | None):
        return ""
    fitting = [other for other, (rule, _) in rules.items() if other != name and rule.fits(value)]
    if any(rules[name][0].fits(given[other]) for other in fitting if other in given):
        return "; are the arguments swapped?"
    free = [other for other in fitting if other not in given]
    return f"; is it meant for {free[0]}?" if len(free) == 1 else ""


def _rule_of(function, parameter):
    """The `_Rule` of a parameter, or None if nothing can be checked."""
    hint = parameter.annotation
    variable = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if variable or hint is inspect.Parameter.empty:
        return None
    return _rule(eval(hint, function.__globals__, _Names(function)) if isinstance(hint, str) else hint)


class _Names(dict):
    """Stands for the names of a hint that do not exist when the program runs."""

    def __init__(self, function):
        super().__init__()
        self._existing = function.__globals__.keys() | vars(builtins).keys()

    def __missing__(self, name):
        if name in self._existing:
            raise KeyError(name)
        return type(name, (_OnlyNamed,), {})


class _OnlyNamed:
    """Base of the types that are known by name only."""


def _rule(hint):
    """The `_Rule` of a type hint, or None."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in _OF_ORIGIN:
        return _OF_ORIGIN[origin](inner)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if isinstance(hint, type) and issubclass(hint, _OnlyNamed):
        wanted = hint.__name__
        return _Rule(_with_article(wanted), lambda v: any(c.__name__ == wanted for c in type(v).__mro__))
    if isinstance(hint, type):
        return _Rule(_with_article(hint.__name__), lambda v: isinstance(v, hint))
    return None


def _with_article(name):
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def _is_sequence(value):
    if isinstance(value, np.ndarray):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _one_of(hints):
    """The rule of a union."""
    parts = [_rule(hint) for hint in hints]
    if None in parts:
        return None
    tests = [part.fits for part in parts]
    if PATH in parts:
        parts = [part for part in parts if part is not _PLAIN[str]]
    parts.sort(key=lambda part: part is _PLAIN[type(None)])
    words = " or ".join(dict.fromkeys(part.words for part in parts))
    choices = tuple(choice for part in parts for choice in part.choices)
    return _Rule(words, lambda v: any(fits(v) for fits in tests), choices)


def _literal(values):
    words = " or ".join(f'"{v}"' if isinstance(v, str) else str(v) for v in values)
    return _Rule(words, lambda v: v.__hash__ is not None and v in values, values)


def _sequence(inner):
    """A sequence of any length. The elements that may be arrays are left to the function."""
    (hint,) = inner
    rule = _rule(hint)
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else ()
    if rule is None or rule is ARRAY or np.ndarray in parts:
        return _Rule("a sequence", _is_sequence)
    words = f"a sequence (each element {rule.words})"
    return _Rule(words, lambda v: _is_sequence(v) and all(map(rule.fits, v)))


def _tuple(inner):
    if len(inner) == 2 and inner[1] is Ellipsis:
        return _sequence(inner[:1])
    rules = [_rule(hint) for hint in inner]

    def fits(v):
        same_length = _is_sequence(v) and len(v) == len(rules)
        return same_length and all(rule.fits(x) for rule, x in zip(rules, v, strict=True))

    return _Rule(f"{len(rules)} values, each {' or '.join(dict.fromkeys(r.words for r in rules))}", fits)


def _iterable(_):
    return _Rule("a sequence", lambda v: isinstance(v, Iterable) and not isinstance(v, str | bytes))


ARRAY = _Rule("an array", lambda v: isinstance(v, np.ndarray) or hasattr(v, "__array__"))
PATH = _Rule("a path", lambda v: isinstance(v, os.PathLike))
FUNCTION = _Rule("a function", callable)
MAPPING = _Rule("a dictionary", lambda v: isinstance(v, Mapping))

_PLAIN = {
    int: _Rule("a whole number", lambda v: isinstance(v, Integral) and not isinstance(v, bool)),
    float: _Rule("a number", lambda v: isinstance(v, Real) and not isinstance(v, bool)),
    bool: _Rule("True or False", lambda v: isinstance(v, bool | np.bool_)),
    str: _Rule("a string", lambda v: isinstance(v, str)),
    type(None): _Rule("None", lambda v: v is None),
    None: _Rule("None", lambda v: v is None),
    np.ndarray: ARRAY,
    Callable: FUNCTION,
    Any: _Rule("any value", lambda v: True),
}
_OF_ORIGIN = {
    Union: _one_of,
    types.UnionType: _one_of,
    Literal: _literal,
    Sequence: _sequence,
    list: _sequence,
    tuple: _tuple,
    Iterable: _iterable,
    Mapping: lambda _: MAPPING,
    dict: lambda _: MAPPING,
    Callable: lambda _: FUNCTION,
    os.PathLike: lambda _: PATH,
}
