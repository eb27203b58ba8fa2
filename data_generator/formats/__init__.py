"""Annotation formats. Each module holds the `load_` and `save_` functions of one format."""
