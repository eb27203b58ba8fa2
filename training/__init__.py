"""Training: the loop, and what lets a run go on after an interruption."""

from .loop import loss_of, train

__all__ = ["loss_of", "train"]
