"""Damages files: cuts them off or changes single bytes. A reader must refuse such a file or still read it."""

import contextlib
import tracemalloc

import numpy as np


def cut_off(data, count, seed=0):
    """Prefixes of many lengths, some of them near both ends of the file."""
    rng = np.random.default_rng(seed)
    lengths = {0, 1, 4, 8, 16, 100, len(data) // 2, len(data) - 8, len(data) - 1}
    lengths |= set(rng.integers(0, len(data), count).tolist())
    return [data[:n] for n in sorted(lengths) if 0 <= n < len(data)]


def flipped(data, count, seed=0, where=None):
    """Copies with one to four changed bytes, at random positions in the range `where`."""
    rng = np.random.default_rng(seed)
    low, high = where or (0, len(data))
    for _ in range(count):
        changed = bytearray(data)
        for position in rng.integers(low, min(high, len(data)), rng.integers(1, 5)):
            changed[position] = rng.integers(256)
        yield bytes(changed)


def refused_or_read(read, path, variants, memory):
    """Returns how many variants are refused. Any error but a one-line ValueError with the path is a failure.

    Args:
        read: the reader, a function of the path.
        path: path to which each variant is written.
        variants: contents of the damaged files.
        memory: maximum number of bytes that the reader may allocate.
    """
    refused = 0
    for data in variants:
        path.write_bytes(data)
        tracemalloc.start()
        with contextlib.ExitStack() as stack:
            stack.callback(tracemalloc.stop)
            try:
                read(path)
            except ValueError as error:
                assert str(path) in str(error) and "\n" not in str(error), error
                refused += 1
            assert tracemalloc.get_traced_memory()[1] < memory
    return refused
