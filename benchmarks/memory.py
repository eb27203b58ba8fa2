"""Resident memory of the data pipeline: over the epochs of `fit`, and with a data set of a million images.

    python benchmarks/memory.py --voc VOCdevkit

References in the same run: the memory after the second epoch, and the memory of the million annotations.
"""

import argparse

import keras
import numpy as np
import psutil
from feeding import tiny_model
from timing import report

import multibox as mb
from multibox.data_generator import Record

MILLION = 1_000_000
GRAY = np.full((300, 300, 3), 128, np.uint8)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voc", required=True, help="folder that holds VOC2007")
    parser.add_argument("--set", default="train", help="image set of VOC2007")
    args = parser.parse_args()
    _epochs(mb.load_voc(args.voc, [("2007", args.set)], progress=False))
    _million()


def resident():
    """Resident memory of this process in MiB."""
    return psutil.Process().memory_info().rss / 2**20


class _Note(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.after = []

    def on_epoch_end(self, epoch, logs=None):
        self.after.append(resident())


def _epochs(dataset):
    note = _Note()
    tiny_model().fit(_batches(dataset), epochs=5, verbose=0, shuffle=False, callbacks=[note])
    rows = [
        {"after epoch": i, "resident MiB": value, "of the second": value / note.after[1]}
        for i, value in enumerate(note.after, 1)
    ]
    report("memory over epochs", rows, images=len(dataset))


def _batches(dataset):
    encoder = mb.GroundTruthEncoder(mb.anchors.SSD300_VOC, dataset.num_classes, sparse=True)
    return mb.DataGenerator(dataset, 32, mb.ssd_augmentation(), encoder)


def _gray():
    return GRAY


def _million():
    start = resident()
    box, label = np.array([[10, 10, 100, 100]], np.float32), np.array([1], np.int32)
    records = [Record(str(i), _gray, 300, 300, box.copy(), label.copy()) for i in range(MILLION)]
    dataset = mb.DetectionDataset(mb.VOC_CLASSES, records)
    held = resident()
    batches = _batches(dataset)
    batches.on_epoch_begin()
    for i in range(200):
        batches[i]
    rows = [
        {"what": "annotations of a million images", "MiB": held - start},
        {"what": "and the generator, after 200 batches of 32", "MiB": resident() - start},
    ]
    batches.on_epoch_end()
    report("memory of a large data set", rows)


if __name__ == "__main__":
    main()
