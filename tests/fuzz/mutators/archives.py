"""Damages members of ZIP archives, and pickles."""

from __future__ import annotations

import io
import pickletools
import random
import warnings
import zipfile

from .plain import change_bytes, changed_list
from .values import Mutator


def change_archive(inner: Mutator, member: str) -> Mutator:
    """Changes members of a ZIP archive; those whose name ends so by another mutator."""

    def mutate(rng, data):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = [(info.filename, archive.read(info)) for info in archive.infolist()]
        except Exception:  # zipfile raises many kinds for a damaged archive
            return change_bytes(rng, data)
        if rng.random() < 0.7:
            change = (inner(rng, c) if n.endswith(member) else c for n, c in members)
            members = [(n, c) for (n, _), c in zip(members, change, strict=True)]
        elif members:
            members = changed_list(
                rng, members, lambda: (rng.choice(("x", "../x", "a/" * 50)), rng.randbytes(9))
            )
        out = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(out, "w", rng.choice((0, 8))) as archive:
            warnings.simplefilter("ignore")
            for name, content in members:
                archive.writestr(name, content)
        return out.getvalue()

    return mutate


def change_pickle(rng: random.Random, data: bytes) -> bytes:
    """Changes one operation of the program."""
    try:
        starts = [place for _, _, place in pickletools.genops(data)]
    except Exception:  # pickletools raises many kinds
        return change_bytes(rng, data)
    end = starts[-1] + 1
    parts = [data[a:b] for a, b in zip(starts, [*starts[1:], end], strict=True)]
    new = (
        b"N",
        b"K\x05",
        b"J\xff\xff\xff\xff",
        b"]",
        b"}",
        b")",
        b"0",
        b"R",
        b"b",
        b"s",
        b"u",
        b"Q",
        b"t",
        b"(",
    )
    parts = changed_list(rng, parts, lambda: rng.choice((*new, change_bytes(rng, rng.choice(parts)))))
    return b"".join(parts) + data[end:]
