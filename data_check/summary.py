"""Statistics of a data set: sizes, aspect ratios, objects of an image."""

from collections import Counter

import numpy as np

from .boxes_check import SMALL_AREA

QUANTILES = {"min": 0, "5%": 0.05, "25%": 0.25, "median": 0.5, "75%": 0.75, "95%": 0.95, "max": 1}
SIZE_EDGES = np.linspace(0, 1, 21)
RATIO_EDGES = 2.0 ** np.linspace(-4, 4, 33)
MOST_COMMON = 10


def summarize(items, objects, splits):
    """Statistics as plain JSON.

    Args:
        items: list of `CheckedImage`.
        objects: `Objects` of them.
        splits: names of the splits.

    Returns:
        A dict: "splits" with numbers of images and annotated objects; of the objects that are trained on
        "box_size" as sqrt(box area / image area), "aspect_ratio" as width / height in pixels of the image and
        "objects_per_image", with quantiles and a histogram, whose outer bins hold what lies beyond;
        "image_size" in pixels; "image_kinds".
    """
    area, sides = objects.area_share, objects.sides
    per_image = np.bincount(objects.image, minlength=len(items))
    return {
        "splits": {split: _split([item for item in items if item.split == split]) for split in splits},
        "box_size": _distribution(np.sqrt(area), SIZE_EDGES),
        "share_below_1_percent": float((area < SMALL_AREA).mean()) if len(area) else 0.0,
        "aspect_ratio": _distribution(sides[:, 0] / sides[:, 1], RATIO_EDGES),
        "objects_per_image": _distribution(per_image, np.arange(per_image.max(initial=0) + 2) - 0.5),
        "image_size": _image_sizes(items),
        "image_kinds": dict(Counter(item.facts.kind for item in items if item.facts.stored).most_common()),
    }


def _split(items):
    annotations = [item.annotation for item in items]
    crowd = int(sum(a.crowd.sum() for a in annotations))
    return {
        "images": len(items),
        "objects": sum(len(a.names) for a in annotations) - crowd,
        "difficult": int(sum(a.difficult.sum() for a in annotations)),
        "crowd": crowd,
        "images_without_objects": sum(not a.names for a in annotations),
    }


def _distribution(values, edges):
    if not len(values):
        return {"quantiles": {}, "histogram": {"edges": [], "counts": []}}
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    quantiles = np.quantile(values, list(QUANTILES.values()))
    return {
        "mean": float(values.mean()),
        "quantiles": dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _image_sizes(items):
    sizes = Counter(item.size for item in items if item.size)
    if not sizes:
        return {"distinct": 0, "most_common": []}
    all_sizes = np.array(list(sizes.elements()))
    return {
        "distinct": len(sizes),
        "min": all_sizes.min(axis=0).tolist(),
        "median": np.median(all_sizes, axis=0).tolist(),
        "max": all_sizes.max(axis=0).tolist(),
        "most_common": [[*size, count] for size, count in sizes.most_common(MOST_COMMON)],
    }
