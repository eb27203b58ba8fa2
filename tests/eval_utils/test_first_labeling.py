import numpy as np
from annotated_images import write_image

import multibox as mb
from multibox.eval_utils.first_labeling import detections_dataset

ROWS = [[1, 0.9, 1.5, 2, 11.5, 20], [3, 0.75, 0, 0, 60, 40]]


def found(path):
    return mb.Detections.from_rows(np.array(ROWS, np.float32), ("cat", None, "dog"), (40, 60), path)


def test_names_of_pictures_are_unique(tmp_path):
    names = ["a.jpg", "a.png", "a_jpg.png", "b/a.jpg"]
    paths = [str(write_image(tmp_path / "in" / name)) for name in names]
    data = detections_dataset([(path, found(path)) for path in [*paths, paths[3]]])
    ids = [record.image_id for record in data]
    assert ids == ["a_jpg", "a_png", "a_jpg-2", "b/a_jpg", "b/a_jpg-2"]
