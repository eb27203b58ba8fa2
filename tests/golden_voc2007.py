"""Real detections on Pascal VOC 2007 test, from the folder of reference numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from multibox.data_generator import DetectionDataset, Record
from multibox.data_generator.formats.voc_xml import voc_to_continuous


def read_voc2007(golden: Path) -> tuple[DetectionDataset, list[np.ndarray], dict]:
    """The 4952 test images, real detections of seven classes, and the official evaluator's figures."""
    folder = golden / "voc2007_eval"
    expected = json.loads((folder / "expected.json").read_text())
    names = list(expected)
    with gzip.open(folder / "annotations.json.gz", "rt") as file:
        images = json.load(file)
    records = []
    for image_id, image in images.items():
        objects = [o for o in image["objects"] if o["name"] in names]
        boxes = np.array([o["bbox"] for o in objects], np.float32).reshape(-1, 4)
        records.append(
            Record(
                image_id,
                "",
                image["width"],
                image["height"],
                voc_to_continuous(boxes),
                np.array([names.index(o["name"]) + 1 for o in objects], np.int32),
                np.array([o["difficult"] for o in objects], bool),
                np.array([o["truncated"] for o in objects], bool),
            )
        )
    rows = {image_id: [] for image_id in images}
    for label, name in enumerate(names, start=1):
        with gzip.open(folder / f"comp4_det_test_{name}.txt.gz", "rt") as file:
            for line in file:
                image_id, score, *box = line.split()
                box = voc_to_continuous(np.array(box, float))
                rows[image_id].append([label, float(score), *box])
    detections = [np.array(r).reshape(-1, 6) for r in rows.values()]
    return DetectionDataset(names, records), detections, expected
