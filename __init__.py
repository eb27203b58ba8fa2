from . import anchors
from .data_generator import GroundTruthEncoder
from .losses import SSDLoss
from .models import *
