"""Digests as publishers state them: MD5, SHA-256, or the first digits of a SHA-256."""

import hashlib
import re

_FORMS = {"sha256": re.compile("[0-9a-f]{8,64}"), "md5": re.compile("[0-9a-f]{32}")}
_BLOCK = 1 << 20


def check_digest(digest):
    """Raises ValueError for anything but `sha256:` and 8 to 64 digits, `md5:` and 32 digits, or None."""
    if digest is None:
        return
    algorithm, _, digits = str(digest).partition(":")
    if algorithm not in _FORMS or not _FORMS[algorithm].fullmatch(digits):
        raise ValueError(
            'digest must be "sha256:" and 8 to 64 lower-case hexadecimal digits, "md5:" and 32, or None, '
            f"got {digest!r}"
        )


def digest_like(path, digest):
    """The digest of a file, `algorithm:digits`, by the algorithm of another one.

    Args:
        path: of the file.
        digest: see `check_digest`.
    """
    algorithm = digest.partition(":")[0]
    # MD5 finds damaged files; the connection to the publisher is what keeps out forged ones.
    state = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            state.update(block)
    return f"{algorithm}:{state.hexdigest()}"


def agrees(received, stated):
    """Whether a whole digest is the stated one, or begins with it."""
    return received.startswith(stated)
