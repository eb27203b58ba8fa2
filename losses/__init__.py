"""The training losses and their pure parts."""

from .focal_loss import SSDFocalLoss
from .metrics import SSDLossPart
from .ssd_loss import SSDLoss, hard_negatives, smooth_l1

__all__ = ["SSDFocalLoss", "SSDLoss", "SSDLossPart", "hard_negatives", "smooth_l1"]
