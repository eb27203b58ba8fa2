"""The training losses and their pure parts."""

from .detection_loss import SSDLossPart, smooth_l1
from .focal_loss import SSDFocalLoss
from .hard_negatives import hard_negatives
from .ssd_loss import SSDLoss

__all__ = ["SSDFocalLoss", "SSDLoss", "SSDLossPart", "hard_negatives", "smooth_l1"]
