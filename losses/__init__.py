"""The training loss and its pure parts."""

from .hard_negatives import hard_negatives
from .ssd_loss import SSDLoss, SSDLossPart, smooth_l1

__all__ = ["SSDLoss", "SSDLossPart", "hard_negatives", "smooth_l1"]
