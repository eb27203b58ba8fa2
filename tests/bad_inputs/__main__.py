"""`python -m bad_inputs [--arguments] [WORD ...]`: a line for each case, then the table; exit status 1 for any fault.

With words, only cases whose target and kind have all of them. With --arguments also the calls of public
functions with wrong arguments, which `test_wrong_arguments` tests as well.
"""

import sys

from .table import all_cases, run_cases, summary

words = [word for word in sys.argv[1:] if word != "--arguments"]
rows = []
for row in run_cases([c for c in all_cases() if all(w in f"{c.target.name} {c.kind}" for w in words)]):
    print(row, flush=True)
    rows.append(row)
if "--arguments" in sys.argv:
    from .arguments import argument_rows

    rows += argument_rows()
faults = [row for row in rows if row.verdict != "as expected"]
print("\n", *faults, sep="\n")
print(f"\n{summary(rows)}")
sys.exit(bool(faults))
