"""Damages the content of files. Every mutator is a function (random.Random, bytes) -> bytes.

Those that know a format change its parts and write it again, so that the damage gets past the first check.
"""

from .archives import change_archive, change_pickle
from .hdf5 import change_hdf5
from .images import change_head, change_png
from .plain import change_bytes, change_text
from .protobuf import change_protobuf, change_tfrecord
from .trees import change_json, change_xml
from .values import INTEGERS, Mutator, several

__all__ = [
    "INTEGERS",
    "Mutator",
    "change_archive",
    "change_bytes",
    "change_hdf5",
    "change_head",
    "change_json",
    "change_pickle",
    "change_png",
    "change_protobuf",
    "change_text",
    "change_tfrecord",
    "change_xml",
    "several",
]
