"""`python -m fuzz [TARGET [NUMBER]]`: exit status 1 if anything is found.

With a number, that input is read once, in this process, and its error is shown. Environment variables:

    FUZZ_SECONDS  time of all targets together; 120 unless stated
    FUZZ_SEED     random unless stated
    FUZZ_COUNT    so many inputs for each target in place of a time
"""

import os
import random
import sys
import tempfile
from pathlib import Path

from .run import Fuzzer, fuzz, fuzz_for, keep, summary
from .targets import all_targets

seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))
targets = [target for target in all_targets() if target.name.startswith(sys.argv[1] if sys.argv[1:] else "")]
if sys.argv[2:]:
    with tempfile.TemporaryDirectory() as folder:
        targets[0].prepare(Path(folder))
        content = Fuzzer(targets[0], seed).content(int(sys.argv[2]))
        (Path(folder) / targets[0].file).write_bytes(content)
        print(targets[0].read(Path(folder)))
    sys.exit()
count = int(os.environ.get("FUZZ_COUNT") or 0)
if count:
    results = fuzz(targets, seed, count)
else:
    results = fuzz_for(targets, seed, float(os.environ.get("FUZZ_SECONDS") or 120))
print(f"seed {seed}\n{summary(results)}")
for line in keep(results, seed):
    print(line)
sys.exit(any(result.findings for result in results))
