"""`python -m multibox`, for where the `multibox` command is not on the path."""

from .cli import main

main()
