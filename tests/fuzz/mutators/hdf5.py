"""Damages HDF5 files: attributes, types, shapes and links."""

from __future__ import annotations

import io
import random
import warnings

import h5py
import numpy as np

from .plain import change_bytes


def change_hdf5(rng: random.Random, data: bytes) -> bytes:
    """Changes one array, attribute, group or link."""
    memory = io.BytesIO(data)
    try:
        with warnings.catch_warnings(), h5py.File(memory, "r+") as file:
            warnings.simplefilter("ignore")
            names: list[str] = []
            file.visit(names.append)
            rng.choice((_change_attribute, _change_object))(rng, file, ["/", *names])
    except Exception:  # what is damaged already cannot be changed by name
        return change_bytes(rng, data)
    return memory.getvalue()


def _change_attribute(rng, file, names):
    owners = [file[name] for name in names if len(file[name].attrs)]
    owner = rng.choice(owners)
    name = rng.choice(list(owner.attrs))
    del owner.attrs[name]
    if rng.random() < 0.8:
        owner.attrs[name] = rng.choice(_new_values(rng))


def _change_object(rng, file, names):
    name = rng.choice(names[1:])
    old = file[name][()] if isinstance(file[name], h5py.Dataset) else np.zeros(3, np.float32)
    kind = rng.randrange(9)
    del file[name]
    if kind == 0:
        file[name] = h5py.SoftLink(rng.choice(names))
    elif kind == 1:
        file[name] = h5py.ExternalLink("/etc/passwd", "/")
    elif kind == 2:
        file.create_group(name)
    elif kind == 3:
        file.create_dataset(name, (rng.choice((1 << 20, 1 << 40)),), np.float32, chunks=(1 << 10,))
    elif kind == 4:
        file.create_dataset(name, data=old, chunks=True, compression="gzip") if np.ndim(old) else None
    elif kind == 5:
        file[name] = old[:-1] if np.ndim(old) else old
    elif kind == 6:
        file[name] = np.asarray(old).astype(rng.choice(("f8", "f2", "i8", "u1", "S3")))
    elif kind == 7:
        file[name] = rng.choice(_new_values(rng))


def _new_values(rng):
    vlen = np.empty(1, object)
    vlen[0] = np.arange(3)
    return (
        *(0, -1, 1.5, float("nan"), "x", "", "é\n", b"\xff", [1, 2], ["a", "b"], [], np.zeros((2, 2))),
        *(np.zeros(3, [("a", "i4")]), h5py.Empty("f4"), np.bytes_("abc"), True, 2**62, rng.random()),
    )
