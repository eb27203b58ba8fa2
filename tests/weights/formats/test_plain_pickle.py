"""Pickles that hold data are read; those that would run code are refused, and run nothing."""

import os
import pickle
import subprocess
from collections import OrderedDict

import pytest

from multibox.weights.formats.plain_pickle import PickleError, read_plain_pickle

DATA = {
    "a": [1, 2.5, "text", None, True, False],
    "nested": {"b": (1, (2, 3), [4], ()), "c": b"bytes"},
    "large": 1 << 80,
    3: -7,
    "many": list(range(300)),
}


def read(data, functions=None):
    return read_plain_pickle(data, functions or {}, lambda identity: identity)


@pytest.mark.parametrize("protocol", range(6))
def test_data_are_read_as_pickle_reads_them(protocol):
    data = {key: value for key, value in DATA.items() if protocol > 2 or key != "nested"}
    assert read(pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", range(6))
def test_functions_are_those_of_the_reader(protocol):
    functions = {("collections", "OrderedDict"): lambda items=(): {"called": len(items)}}
    assert read(pickle.dumps(OrderedDict(), protocol), functions)["called"] == 0


class Evil:
    """Calls a function when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def marker(tmp_path):
    return tmp_path / "it ran"


def pickles(path):
    """Files that create `path`, one for each way a pickle can call something."""
    command = f"touch '{path}'"
    code = f"open({str(path)!r}, 'w').close()"
    for protocol in range(6):
        for evil in (
            Evil(os.system, command),
            Evil(eval, code),
            Evil(exec, code),
            Evil(subprocess.Popen, ["touch", str(path)]),
            Evil(getattr, os, "system"),
        ):
            if evil.call[0] is not getattr:  # modules cannot be pickled
                yield pickle.dumps(evil, protocol)
                yield pickle.dumps({"state_dict": [({"w": evil},)]}, protocol)
                yield pickle.dumps([OrderedDict([("w", evil)])], protocol)
    text = command.encode()
    yield b"(S'" + text.replace(b"'", b'"') + b"'\nios\nsystem\n."  # INST
    yield b"(cos\nsystem\nV" + text + b"\no."  # OBJ
    yield b"\x80\x02cos\nsystem\n(V" + text + b"\ntR."  # GLOBAL, REDUCE
    yield b"\x80\x02cos\nsystem\n(V" + text + b"\nt\x81."  # NEWOBJ
    yield b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(text)]) + text + b"\x85R."  # STACK_GLOBAL
    yield b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c" + bytes([len(code)]) + code.encode() + b"\x85R."
    yield b"\x80\x04\x8c\x07os.path\x8c\x09os.system\x93\x8c" + bytes([len(text)]) + text + b"\x85R."
    yield b"\x80\x02ccollections\nOrderedDict\n(cos\nsystem\nV" + text + b"\ntR."


def test_what_would_run_code_is_refused_and_does_not_run(tmp_path):
    path = marker(tmp_path)
    functions = {("collections", "OrderedDict"): dict}
    count = 0
    for data in pickles(path):
        with pytest.raises(PickleError, match="refused"):
            read(data, functions)
        assert not path.exists()
        count += 1
    assert count == 80
    # The test can fail: Python's own reader runs them.
    pickle.loads(pickle.dumps(Evil(os.system, f"touch '{path}'")))
    assert path.exists()


def test_refused_by_name():
    with pytest.raises(PickleError, match=r"names (os|posix|nt)\.system, which is refused"):
        read(pickle.dumps(Evil(os.system, "true")))
    with pytest.raises(PickleError, match=r"create os\.system \(INST\)"):
        read(b"(S'true'\nios\nsystem\n.")
    with pytest.raises(PickleError, match=r"argparse\.Namespace"):
        read(b"\x80\x02cargparse\nNamespace\n)R.")


@pytest.mark.parametrize("data", [b"\x80\x02\x82\x01.", b"\x80\x02\x84\x01\x00\x00\x00."])
def test_the_registry_of_extensions_is_not_asked(data):
    with pytest.raises(PickleError, match="EXT"):
        read(data)


def test_a_function_is_no_thing_to_build_on():
    """`BUILD` sets attributes; on a class or function these would outlive the file."""
    functions = {("collections", "OrderedDict"): dict}
    with pytest.raises(PickleError):
        read(b"\x80\x02ccollections\nOrderedDict\n}X\x01\x00\x00\x00aK\x01sb.", functions)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"(.",
        b"t.",
        b"\x80\x02",
        b"h\x05.",
        b"a.",
        b"]s.",
        b"}K\x01s.",
        b"K\x01K\x02R.",
        b"}]K\x01s.",
    ],
)
def test_damaged_pickles(data):
    with pytest.raises(PickleError):
        read(data)


def test_deep_nesting_costs_no_recursion():
    data = read(b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
    for _ in range(99_999):
        (data,) = data
    assert data == []
    with pytest.raises(PickleError, match="keys"):
        read(b"}" + b")" + b"\x85" * 100_000 + b"K\x01s.")


@pytest.mark.parametrize("depth", [0, 2000, 200_000])
def test_a_name_that_is_no_text(depth):
    nested = b")" + b"\x85" * depth
    for names in (nested + b"\x8c\x01a", b"\x8c\x01a" + nested, b"K\x01K\x02"):
        with pytest.raises(PickleError, match="damaged: a global whose name is not text"):
            read(b"\x80\x04" + names + b"\x93.")


HOSTILE = "os\nERROR: all is well\x1b[31m\u202e" + "x" * 10_000


def text(value):
    return b"X" + len(value.encode()).to_bytes(4, "little") + value.encode()


@pytest.mark.parametrize(
    "data",
    [
        text(HOSTILE) + text("system") + b"\x93.",
        text("os") + text(HOSTILE) + b"\x93.",
        b"(i" + b"\x1b[31m" * 1000 + b"\nsystem\n.",
        b"S" + b"\x1b" * 1000 + b"\n.",
    ],
)
def test_messages_stay_one_short_line_whatever_the_names(data):
    with pytest.raises(PickleError) as error:
        read(data)
    assert str(error.value).isascii() and str(error.value).isprintable() and len(str(error.value)) < 250


def test_sizes_that_are_lies_cost_no_memory():
    for opcode in (b"\x8e", b"\x8d", b"\x8b", b"B", b"X", b"T"):
        width = 8 if opcode in (b"\x8e", b"\x8d") else 4
        with pytest.raises(PickleError):
            read(
                b"\x80\x04"
                + opcode
                + (1 << 31 if width == 8 else (1 << 31) - 1).to_bytes(width, "little")
                + b"."
            )
    assert read(b"K\x07r\xff\xff\xff\x7f.") == 7  # a memo index of two billion
