from .encoder import GroundTruthEncoder
