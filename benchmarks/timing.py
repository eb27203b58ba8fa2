"""Helpers of the benchmarks: timing of alternating runs, reports as table and JSON."""

import json
import platform
import time

import numpy as np


def time_in_turn(functions, rounds):
    """Runs the functions in turn, `rounds` times after one warm-up. Drift then affects all of them equally.

    Args:
        functions: {name: callable}; each must wait for its result.
        rounds: number of timed runs of each function.

    Returns:
        {name: median seconds}.
    """
    times = {name: [] for name in functions}
    for count in range(rounds + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if count:
                times[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def report(title, rows, **facts):
    """Prints rows (dictionaries with the same keys) as a table, then everything as one line of JSON."""
    widths = {k: max(len(k), *(len(_text(row[k])) for row in rows)) for k in rows[0]}
    print(f"{title} ({platform.machine()}, Python {platform.python_version()})")
    print("  ".join(f"{k:<{w}}" for k, w in widths.items()))
    for row in rows:
        print("  ".join(f"{_text(row[k]):<{w}}" for k, w in widths.items()))
    print(json.dumps({"benchmark": title, **facts, "rows": rows}))


def _text(value):
    return f"{value:.3f}" if isinstance(value, float) else str(value)
