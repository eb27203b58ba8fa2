"""Readers of weight files. The content of a file decides which reader is used."""
