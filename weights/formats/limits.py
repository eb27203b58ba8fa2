"""Limits of all readers of weight files. The largest published file that they read has 0.6 GB."""

MAX_FILE = 4 << 30  # bytes
