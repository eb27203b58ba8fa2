"""Annotation formats: a file holds the `load_` and the `save_` of a format."""
