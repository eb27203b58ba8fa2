"""Reports of the benchmarks, as table and JSON."""

import json
import platform


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
