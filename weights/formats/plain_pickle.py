"""Reads pickles that contain only data, without running code.

Python's `pickle` imports and calls the functions that a file names, so a file can run any code. The machine
here executes the same opcodes but cannot import anything: a global is only a name, and `REDUCE` may call only
the few functions that the caller passes in. Containers are built but never traversed, so deep nesting cannot
exhaust the stack. `pickletools`, Python's disassembler, decodes the opcodes and documents them.
"""

import io
import pickletools
from typing import NamedTuple

from ...messages import one_line

MARK = object()
VALUES = {
    *("NONE", "NEWTRUE", "NEWFALSE"),
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class PickleError(ValueError):
    """Describes what is wrong with a pickle. The reader of the file adds its path."""


class Global(NamedTuple):
    """The name of a class or function."""

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


def read_plain_pickle(file, functions, persistent):
    """Reads one pickle.

    Args:
        file: bytes, or an `io.BytesIO`, whose position afterwards is the end of the pickle.
        functions: {(module, name): function} for the globals that may be called. None in place of a function:
            the global may be named but not called.
        persistent: function from a persistent id to a value.

    Returns:
        The unpickled object: dicts, lists, tuples, numbers, strings, bytes, and what the functions return.

    Raises:
        PickleError: for a global that is not listed, for an opcode that would call anything else, and for a
            pickle that is cut off or damaged.
    """
    machine = _Machine(functions, persistent)
    file = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        for opcode, argument, _ in pickletools.genops(file):
            machine.run(opcode.name, argument)
        return machine.pop()
    except PickleError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise PickleError(f"a pickle that is cut off or damaged: {one_line(error)}") from None


class _Machine:
    def __init__(self, functions, persistent):
        self.functions = functions
        self.persistent = persistent
        self.stack = []
        self.memo = {}

    def run(self, opcode, argument):
        if opcode in VALUES:
            self.stack.append(CONSTANTS.get(opcode, argument))
        elif opcode in TUPLES:
            self.stack.append(tuple(self.pop_many(TUPLES[opcode])))
        elif (method := getattr(self, f"op_{opcode.lower()}", None)) is not None:
            method(argument)
        elif opcode in ("INST", "EXT1", "EXT2", "EXT4", "NEWOBJ", "NEWOBJ_EX", "OBJ"):
            what = one_line(".".join(argument.split())) if isinstance(argument, str) else "an object"
            raise PickleError(
                f"the pickle wants to create {what} ({opcode}), which is refused: it could run code"
            )
        else:
            raise PickleError(f"a pickle with the opcode {opcode}, which weights do not need")

    def pop(self):
        if not self.stack or self.stack[-1] is MARK:
            raise PickleError("a pickle that is damaged: a value is missing")
        return self.stack.pop()

    def pop_many(self, count):
        return [self.pop() for _ in range(count)][::-1]

    def pop_to_mark(self):
        values = []
        while self.stack:
            value = self.stack.pop()
            if value is MARK:
                return values[::-1]
            values.append(value)
        raise PickleError("a pickle that is damaged: a mark is missing")

    def top(self, kind):
        if not self.stack or type(self.stack[-1]) is not kind:
            raise PickleError(f"a pickle that is damaged: a {kind.__name__} is missing")
        return self.stack[-1]

    def op_proto(self, version):
        if version > 5:
            raise PickleError(f"a pickle of protocol {version} (supported: 0 to 5)")

    def op_frame(self, _):
        pass

    op_stop = op_frame

    def op_mark(self, _):
        self.stack.append(MARK)

    def op_pop(self, _):
        self.stack.pop()

    def op_pop_mark(self, _):
        self.pop_to_mark()

    def op_dup(self, _):
        self.stack.append(self.stack[-1])

    # Memo ------------------------------------------------------------------------------------------------

    def op_memoize(self, _):
        self.op_put(len(self.memo))

    def op_put(self, index):
        value = self.pop()
        self.stack.append(value)
        self.memo[index] = value

    op_binput = op_long_binput = op_put

    def op_get(self, index):
        self.stack.append(self.memo[index])

    op_binget = op_long_binget = op_get

    # Containers ------------------------------------------------------------------------------------------

    def op_tuple(self, _):
        self.stack.append(tuple(self.pop_to_mark()))

    def op_list(self, _):
        self.stack.append(self.pop_to_mark())

    def op_empty_list(self, _):
        self.stack.append([])

    def op_append(self, _):
        value = self.pop()
        self.top(list).append(value)

    def op_appends(self, _):
        values = self.pop_to_mark()
        self.top(list).extend(values)

    def op_empty_dict(self, _):
        self.stack.append({})

    def op_dict(self, _):
        self.stack.append(_pairs(self.pop_to_mark()))

    def op_setitem(self, _):
        pair = self.pop_many(2)
        self.top(dict).update(_pairs(pair))

    def op_setitems(self, _):
        pairs = self.pop_to_mark()
        self.top(dict).update(_pairs(pairs))

    # Globals and calls -----------------------------------------------------------------------------------

    def op_global(self, names):
        self.push_global(*names.split(" ", 1))

    def op_stack_global(self, _):
        self.push_global(*self.pop_many(2))

    def push_global(self, module, name):
        # A tuple instead of a name could be nested so deeply that hash() overflows the stack.
        if type(module) is not str or type(name) is not str:
            raise PickleError("a pickle that is damaged: a global whose name is not text")
        if (module, name) not in self.functions:
            raise PickleError(
                f"the pickle names {one_line(f'{module}.{name}')}, which is refused: weights do not need it, "
                "and it could run code"
            )
        self.stack.append(Global(module, name))

    def op_reduce(self, _):
        target, arguments = self.pop_many(2)
        function = self.functions.get(target) if isinstance(target, Global) else None
        if function is None or type(arguments) is not tuple:
            raise PickleError("the pickle wants to call something that is not a function")
        self.stack.append(function(*arguments))

    def op_build(self, _):
        # Attributes of an OrderedDict, such as the `_metadata` of a state_dict, are not weights: ignored.
        self.pop()
        self.top(dict)

    def op_persid(self, name):
        self.stack.append(self.persistent(name))

    def op_binpersid(self, _):
        self.stack.append(self.persistent(self.pop()))


def _pairs(values):
    if len(values) % 2:
        raise PickleError("a pickle that is damaged: a key without a value")
    keys = values[::2]
    # A tuple could be nested so deeply that hash() overflows the stack.
    if not all(isinstance(key, str | int | float | bytes) for key in keys):
        raise PickleError("a pickle whose keys are neither names nor numbers")
    return dict(zip(keys, values[1::2], strict=True))


def integers(values):
    """Returns a shape or stride as a tuple of int.

    Raises:
        PickleError: for anything but a list or tuple of integers.
    """
    if type(values) not in (tuple, list) or not all(type(value) is int for value in values):
        raise PickleError("a tensor whose size is not a tuple of integers")
    return tuple(values)
