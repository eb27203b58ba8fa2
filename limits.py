"""Bounds (least, most) of numbers that decide how much memory is allocated, for `arguments.checked`.

The upper ones are far above what anybody has used. They turn a slip, such as a zero too many, into an error.
"""

NUM_CLASSES = (1, 10_000)  # YOLO9000 has 9418
MAX_DETECTIONS = (1, 100_000)  # of an image
MAX_CANDIDATES = (1, 100_000)  # of a class and an image; SSD512 has 24564 anchors
ALPHA = (0, 16)  # MobileNets have 0.25 to 1.4
MIN_DEPTH = (1, 4096)
BATCH_SIZE = (1, 65_536)
WORKERS = (0, 1024)
QUEUE_SIZE = (1, 1024)
NUM_IMAGES = (0, 10_000_000)  # that are drawn
PANELS = (1, 100)  # of a figure, side by side

SIDE = (1, 65_535)  # pixels; a JPEG has no more
NUM_ANCHORS = (1, 5_000_000)  # SSD300 has 8732, at 4096x4096 pixels 1.6 million
NUM_SAMPLES = (1, 1 << 28)  # of an epoch
SHARD_BYTES = (1, 1 << 40)
SHARDS = (1, 1 << 28)
