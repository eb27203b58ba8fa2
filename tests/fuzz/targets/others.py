"""Readers of logs, configurations and detections."""

from __future__ import annotations

import matplotlib
import numpy as np

import multibox as mb

from .target import JSON, MEGABYTE, TEXT, Target

matplotlib.use("Agg")


def others() -> list[Target]:
    def prepare(folder):
        text = "epoch,loss,val_loss,learning_rate\n0,2.5,2.25,0.001\n1,1.5,NA,0.001\n2,1.25,1.5,0.0001\n"
        (folder / "history.csv").write_text(text)

    def read(folder):
        import matplotlib.pyplot as plt

        try:
            mb.plot_history(folder / "history.csv")
        finally:
            plt.close("all")

    config = """model { ssd { # a comment
      image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
      box_coder { faster_rcnn_box_coder { x_scale: 10.0 } }
      anchor_generator { ssd_anchor_generator { num_layers: 6 aspect_ratios: [1, 2.0] min_scale: 0.2 } }
    } }
    train_config: { name: 'a' }
    """
    return [
        Target("history.csv", prepare, "history.csv", read, TEXT),
        Target(
            "pipeline.config",
            lambda folder: (folder / "pipeline.config").write_text(config),
            "pipeline.config",
            lambda folder: mb.anchors.pipeline_anchors(folder / "pipeline.config"),
            TEXT,
            memory=512 * MEGABYTE,
        ),
    ]


def detections() -> list[Target]:
    """The files of `load_detections`."""
    box, labels = np.array([[0, 0, 10, 10]], np.float32), np.array([1], np.int32)
    records = [mb.Record(name, f"{name}.jpg", 100, 80, box, labels) for name in ("000007", "b")]
    data = mb.DetectionDataset(("cat", "dog"), records)
    rows = [
        np.array([[1, 0.75, 10.5, 20, 50.25, 60], [2, 0.5, 0, 0, 10, 10]]),
        np.array([[1, 0.1, 1, 5, 30, 40]]),
    ]

    def target(name, file, mutate):
        def read(folder):
            found = mb.load_detections(folder / name, data)
            assert [np.shape(each)[1:] for each in found] == [(6,), (6,)]
            assert all(np.isfinite(each).all() for each in found)

        return Target(
            name,
            lambda folder: mb.save_detections(rows, data, folder / name),
            file,
            read,
            mutate,
            named=(name,),
        )

    return [
        target("found.json", "found.json", JSON),
        target("found.csv", "found.csv", TEXT),
        target("found", "found/comp4_det_test_cat.txt", TEXT),
    ]
