"""Runs the targets with damaged files in guarded children and sums up what they do."""

from __future__ import annotations

import random
import re
import shutil
import tempfile
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from guarded import MEMORY, run_guarded

from .targets import Target

FINDINGS = Path("runs/fuzz")  # inputs that were found, relative to the working folder
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_LONGEST = 2000
_STEP = 200  # inputs of a target between two looks at the clock
_MOST = 5  # findings of a kind that are kept


@dataclass
class Result:
    """What became of one target.

    Attributes:
        target: the reader.
        cases: number of inputs.
        refused: number of those that the reader refused as documented.
        findings: {kind: [(number of the input, text)]}.
        seconds: longest time of one input.
        grown: largest growth of the memory for one input.
    """

    target: Target
    cases: int = 0
    refused: int = 0
    findings: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    seconds: float = 0.0
    grown: int = 0


class Fuzzer:
    """One target with one seed. The input of a number is always the same."""

    def __init__(self, target: Target, seed: int):
        self.target, self.seed = target, seed
        self.result = Result(target)
        with tempfile.TemporaryDirectory() as folder:
            target.prepare(Path(folder))
            self.corpus = [(Path(folder) / target.file).read_bytes(), *target.corpus]

    def content(self, number: int) -> bytes:
        """The damaged file of a number; the first are the sound ones."""
        if number < len(self.corpus):
            return self.corpus[number]
        name = zlib.crc32(self.target.name.encode())
        rng = random.Random(self.seed << 64 | name << 32 | number)
        return self.target.mutate(rng, rng.choice(self.corpus))

    def run(self, numbers: Sequence[int], until: float = float("inf")) -> None:
        """Reads the inputs of these numbers and counts what comes of them."""
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        try:
            self.target.prepare(folder)
            memory = max(MEMORY, 2 * self.target.memory)
            for ran in run_guarded(lambda n: self._read(folder, n), numbers, memory=memory, until=until):
                self._count(ran)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self, folder, number):
        """(kind, text): "read", "refused", or what is wrong."""
        (folder / self.target.file).write_bytes(self.content(number))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self.target.read(folder)
        except (OSError, ValueError) as error:
            return self._judged(str(error).replace(str(folder), "FOLDER"))
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return type(error).__name__, f"{error} ({Path(last.filename).name}:{last.lineno})"[:300]
        return "read", ""

    def _judged(self, text):
        named = self.target.named or (Path(self.target.file).name,)
        if not any(name in text for name in named):
            return "error without file name", text[:300]
        if len(text) > _LONGEST or _CONTROL.search(text):
            return "unclear error", repr(text)[:300]
        return "refused", ""

    def _count(self, ran):
        result = self.result
        kind, text = ran.value or (ran.ended, f"{ran.seconds:.1f} s")
        if ran.grown > self.target.memory:
            kind, text = "memory", f"{ran.grown >> 20} MB"
        if ran.number < len(self.corpus) and kind == "refused":
            kind, text = "sound file refused", ""
        result.cases += 1
        result.refused += kind == "refused"
        result.seconds, result.grown = max(result.seconds, ran.seconds), max(result.grown, ran.grown)
        if kind not in ("read", "refused"):
            result.findings.setdefault(kind, []).append((ran.number, text))


def fuzz(targets: Sequence[Target], seed: int, count: int) -> list[Result]:
    """So many inputs for each target."""
    results = []
    for target in targets:
        fuzzer = Fuzzer(target, seed)
        fuzzer.run(range(count))
        results.append(fuzzer.result)
    return results


def fuzz_for(targets: Sequence[Target], seed: int, seconds: float) -> list[Result]:
    """As many inputs as the time allows, about the same time for each target."""
    fuzzers = [Fuzzer(target, seed) for target in targets]
    end = time.monotonic() + seconds
    for number, fuzzer in enumerate(fuzzers):
        share = time.monotonic() + (end - time.monotonic()) / (len(fuzzers) - number)
        start = 0
        while time.monotonic() < share:
            fuzzer.run(range(start, start + _STEP), share)
            start += _STEP
    return [fuzzer.result for fuzzer in fuzzers]


def keep(results: Sequence[Result], seed: int) -> Iterator[str]:
    """Writes the inputs of the findings. Yields a line for each of them: where it is and how to repeat it."""
    for result in results:
        fuzzer = Fuzzer(result.target, seed) if result.findings else None
        for kind, found in result.findings.items():
            for number, text in found[:_MOST]:
                name = re.sub(r"\W+", "-", f"{result.target.name} {seed} {number}")
                path = FINDINGS / f"{name}{Path(result.target.file).suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(fuzzer.content(number))
                repeat = f"FUZZ_SEED={seed} python -m fuzz '{result.target.name}' {number}"
                yield ascii(f"{result.target.name} | {kind} | {text} | {path} | {repeat}")[1:-1]
            if len(found) > _MOST:
                yield f"{result.target.name} | {kind} | {len(found) - _MOST} more"


def summary(results: Sequence[Result]) -> str:
    """A line for each target."""
    lines = [("target", "cases", "refused", "findings", "slowest", "memory", "kinds")]
    for result in results:
        counts = Counter({kind: len(found) for kind, found in result.findings.items()})
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.items())
        numbers = (result.cases, result.refused, counts.total())
        worst = (f"{result.seconds:.2f} s", f"{result.grown / 2**20:.0f} MB")
        lines.append((result.target.name, *map(str, numbers), *worst, kinds))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in rows)
