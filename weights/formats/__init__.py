"""Readers of weight files, recognised by content."""
