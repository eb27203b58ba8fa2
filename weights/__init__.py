"""Weights: published files, readers of other projects' formats, other classes for a trained model."""
