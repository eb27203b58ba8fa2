"""`python -m multibox.cli`."""

from . import main

main()
