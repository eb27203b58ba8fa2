"""Batches: samples made by threads or processes, for `fit`."""
