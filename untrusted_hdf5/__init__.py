"""Reads HDF5 files from outside: everything is checked before the HDF5 library reads it.

The library follows whatever a file declares. A damaged type of an attribute ends the interpreter, a damaged
heap never ends, a declared size fills the memory, and a link opens another file. Every reader of this package
therefore gets its groups, attributes and arrays through these functions.
"""

from .content import LayoutError
from .reading import (
    HDF5_ERRORS,
    MAX_ARRAY,
    MAX_RATIO,
    check_sizes,
    child,
    dataset,
    is_bfloat16,
    number_attribute,
    open_hdf5,
    text_attribute,
    texts_attribute,
)

__all__ = [
    "HDF5_ERRORS",
    "MAX_ARRAY",
    "MAX_RATIO",
    "LayoutError",
    "check_sizes",
    "child",
    "dataset",
    "is_bfloat16",
    "number_attribute",
    "open_hdf5",
    "text_attribute",
    "texts_attribute",
]
