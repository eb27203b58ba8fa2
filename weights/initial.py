"""The `weights` argument of the model functions: a path, or the name of a published data set."""

from .loading import load_weights
from .sources import fetch_source, published

PUBLISHED = ("imagenet", "coco")


def load_initial_weights(model, weights):
    """Loads what a model begins with.

    Args:
        model: of this package.
        weights: path of a weight file, see `load_weights`; or "imagenet" (the backbone) or "coco" (the whole
            detector, which then must have COCO's classes), which are downloaded once.

    Returns:
        `LoadReport`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if there are no published weights for the model, and as `load_weights`.
        DownloadError: if they cannot be had.
    """
    if weights in PUBLISHED:
        weights = fetch_source(published(model.name, weights))
    return load_weights(model, weights)
