"""Looks at all image files in parallel, and hears what the JPEG decoder says about damage."""

import os
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice

from .images_check import CheckedImage, inspect_image

CHUNK = 64  # images between two looks at what the decoder said

# libjpeg decodes through damage and says so on the standard error stream only.
_COMPLAINT = re.compile(r"(Corrupt JPEG data[^\n]*|Premature end of JPEG[^\n]*)")
STDERR = 2


def inspect_images(split, annotations, workers=None):
    """Yields a `CheckedImage` for each `Annotation`, in order; holds no pixels.

    Meanwhile the process' standard error stream is set aside for moments, so that the decoder's words are
    heard and do not disturb the terminal.

    Args:
        split: name of the split.
        annotations: iterable of `Annotation`; read a little ahead of what is yielded.
        workers: threads; None takes one for each core, at most 8.
    """
    annotations = iter(annotations)
    with ThreadPoolExecutor(workers or min(8, os.cpu_count() or 1)) as pool:
        while chunk := list(islice(annotations, CHUNK)):
            facts = _inspect([a.image for a in chunk], pool)
            yield from map(CheckedImage, [split] * len(chunk), chunk, facts)


def _inspect(paths, pool):
    """`ImageFacts` of the files. If the decoder complained, each is decoded once more to know which."""
    facts, said = listen(lambda: list(pool.map(inspect_image, paths)))
    return [_with_complaint(path) for path in paths] if _COMPLAINT.search(said) else facts


def _with_complaint(path):
    facts, said = listen(lambda: inspect_image(path))
    words = _COMPLAINT.search(said)
    return replace(facts, complaint=words[0]) if words else facts


def listen(action):
    """Returns what `action` returns, and what was written to the standard error stream meanwhile.

    The stream is the process': what other threads write to it meanwhile is taken, too.
    """
    sys.stderr.flush()
    kept = os.dup(STDERR)
    try:
        with tempfile.TemporaryFile() as aside:
            os.dup2(aside.fileno(), STDERR)
            try:
                result = action()
            finally:
                os.dup2(kept, STDERR)
            aside.seek(0)
            return result, aside.read().decode(errors="replace")
    finally:
        os.close(kept)
