"""The training losses and their pure parts."""

from .box_losses import BOX_LOSSES, smooth_l1
from .focal_loss import SSDFocalLoss
from .metrics import SSDLossPart
from .mining import hard_negatives
from .ssd_loss import SSDLoss

__all__ = ["BOX_LOSSES", "SSDFocalLoss", "SSDLoss", "SSDLossPart", "hard_negatives", "smooth_l1"]
