"""The training losses and their pure parts."""

from .focal_loss import SSDFocalLoss
from .metrics import SSDLossPart
from .mining import hard_negatives
from .ssd_loss import SSDLoss, smooth_l1

__all__ = ["SSDFocalLoss", "SSDLoss", "SSDLossPart", "hard_negatives", "smooth_l1"]
