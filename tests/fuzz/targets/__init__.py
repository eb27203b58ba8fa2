"""What is fuzzed: each reader, with sound files to begin with and the mutators that fit them."""

from .data_sets import data_sets
from .images import images
from .others import detections, others
from .target import Target
from .weights import weights


def all_targets() -> list[Target]:
    return [*data_sets(), *images(), *weights(), *others(), *detections()]
