import cv2
import keras
import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.detectors import to_pixels

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return mb.SSD7(4, image_size=SIZE)


def test_pixels_by_hand():
    rows = np.array([[2, 0.9, -0.1, 0.25, 0.5, 1.5], [1, 0.3, 0.5, 0.5, 1, 1], [0, 0, 0, 0, 0, 0]])
    expected = [[2, 0.9, 0, 20, 100, 80], [1, 0.3, 100, 40, 200, 80]]
    np.testing.assert_allclose(to_pixels(rows, 200, 80), expected, rtol=1e-6)


def test_equals_predicting_one_by_one(model):
    dataset = mb.load_shapes(5, (50, 90))
    detector = mb.to_inference(model, confidence_threshold=0.2, max_detections=7)
    found = mb.predict_dataset(detector, dataset, batch_size=2, progress=False)
    assert len(found) == 5
    transform = mb.resize_only(SIZE)
    for record, rows in zip(dataset, found, strict=True):
        image, _ = transform(record, np.random.default_rng(0))
        expected = to_pixels(detector.predict(image[None], verbose=0)[0], 90, 50)
        np.testing.assert_allclose(rows, expected, rtol=1e-4, atol=1e-3)
        assert (rows[:, 2:] <= (90, 50, 90, 50)).all()


def test_a_training_model_is_decoded_with_the_defaults(model):
    dataset = mb.load_shapes(2)
    ours = mb.predict_dataset(model, dataset, progress=False)
    expected = mb.predict_dataset(mb.to_inference(model), dataset, progress=False)
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_progress_is_shown_unless_switched_off(model, capsys):
    mb.predict_dataset(model, mb.load_shapes(3), batch_size=2)
    assert "predict" in capsys.readouterr().err
    mb.predict_dataset(model, mb.load_shapes(3), batch_size=2, progress=False)
    assert "predict" not in capsys.readouterr().err


def test_a_transform_of_another_size(model):
    with pytest.raises(ValueError, match=r"the transform makes \(32, 32\), the model takes \(64, 96\)"):
        mb.predict_dataset(model, mb.load_shapes(1), transform=mb.resize_only((32, 32)))


def test_another_number_of_classes(model):
    dataset = mb.DetectionDataset(list("abcde"), mb.load_shapes(1).records)
    with pytest.raises(ValueError, match="the model has 4 classes, the data set 5"):
        mb.predict_dataset(model, dataset)


def test_a_transform_of_ones_own(model):
    seen, whole = [], mb.resize_only(SIZE)

    def transform(record, rng):
        seen.append(record.image_id)
        return whole(record, rng)

    transform.image_size = SIZE
    mb.predict_dataset(model, mb.load_shapes(2), transform=transform, progress=False, workers=0)
    assert set(seen) == {"shapes-0-0", "shapes-0-1"}


def pictures(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def test_detect_gives_what_predict_dataset_gives(model):
    images = mb.load_shapes(3, (50, 90))
    expected = mb.predict_dataset(model, images, progress=False)
    found = mb.detect(model, [record.image() for record in images], min_score=0)
    for rows, detections in zip(expected, found, strict=True):
        assert len(rows) > 0
        np.testing.assert_array_equal(detections.rows, rows)
        assert detections.image_size == (50, 90)


def assert_same_rows(found, expected, atol):
    """The same rows; rounding may swap those of nearly equal scores."""
    assert found.shape == expected.shape
    np.testing.assert_allclose(found[:, 1], expected[:, 1], atol=atol)
    apart = np.abs(found[:, None] - expected).max(axis=-1)
    assert apart.min(axis=0).max() <= atol and apart.min(axis=1).max() <= atol


def test_detect_takes_pictures_of_different_sizes_in_their_order(model):
    sizes = [(40, 60), (100, 30), (40, 60), (64, 96)]
    together = mb.detect(model, pictures(*sizes), min_score=0, batch_size=3)
    assert [d.image_size for d in together] == sizes
    for picture, detections in zip(pictures(*sizes), together, strict=True):
        assert_same_rows(mb.detect(model, picture, min_score=0).rows, detections.rows, atol=1e-3)
        low, high = detections.boxes[:, :2], detections.boxes[:, 2:]
        assert (low >= 0).all() and (high <= picture.shape[1::-1]).all()


def test_detect_takes_files_and_folders(model, tmp_path):
    (picture,) = pictures((40, 60))
    for name in ("b.PNG", "a.png"):
        cv2.imwrite(str(tmp_path / name), picture[..., ::-1])
    (tmp_path / "notes.txt").write_text("no image")
    of_array = mb.detect(model, picture, min_score=0)
    of_file = mb.detect(model, tmp_path / "a.png", min_score=0)
    np.testing.assert_array_equal(of_file.rows, of_array.rows)
    assert of_file.path == str(tmp_path / "a.png")
    assert [d.path for d in mb.detect(model, tmp_path)] == [str(tmp_path / n) for n in ("a.png", "b.PNG")]
    assert [d.path for d in mb.detect(model, [str(tmp_path / "b.PNG")] * 2)] == [str(tmp_path / "b.PNG")] * 2


def test_detect_knows_the_class_names(tmp_path):
    model = mb.SSD7(class_names=("cat", "dog"), image_size=SIZE)
    model.save(tmp_path / "model.keras")
    found = mb.detect(tmp_path / "model.keras", *pictures((30, 40)), min_score=0)
    assert found.class_names == ("cat", "dog")
    assert {d.class_name for d in found} <= {"cat", "dog"}
    assert len(found["cat"]) + len(found["dog"]) == len(found) > 0


def test_detect_leaves_out_low_scores(model):
    picture = pictures((30, 40))[0]
    scores = mb.detect(model, picture, min_score=0).scores
    limit = float(np.median(scores))
    assert len(mb.detect(model, picture, min_score=limit)) == (scores >= limit).sum() < len(scores)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], ValueError, "at least one image"),
        ("nowhere.jpg", FileNotFoundError, "no such image or folder: nowhere.jpg"),
        (np.zeros((4, 5, 3)), mb.ImageError, r"got \(4, 5, 3\) float64 at position 0"),
        ([np.zeros((4, 5), np.uint8)], mb.ImageError, r"got \(4, 5\) uint8"),
        ([np.zeros((0, 5, 3), np.uint8)], mb.ImageError, r"got \(0, 5, 3\)"),
    ],
)
def test_detect_refuses(model, images, error, message):
    with pytest.raises(error, match=message):
        mb.detect(model, images)


def test_detect_names_an_empty_folder_and_a_broken_file(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no image .* in the folder"):
        mb.detect(model, tmp_path)
    (tmp_path / "x.jpg").write_bytes(b"no image")
    with pytest.raises(mb.ImageError, match=r"x\.jpg"):
        mb.detect(model, tmp_path)


def test_detections_of_a_data_set_follow_its_own_class_order():
    names = ("star", "triangle", "square", "circle")
    keras.utils.set_random_seed(0)
    model = mb.SSD7(class_names=names, image_size=SIZE)
    images = mb.load_shapes(2, (50, 90))
    with pytest.warns(UserWarning, match="in another order"):
        found = mb.predict_dataset(model, images, progress=False)
    plain = [d.rows for d in mb.detect(model, [record.image() for record in images], min_score=0)]
    for rows, of_model in zip(found, plain, strict=True):
        assert [images.class_names[int(i) - 1] for i in rows[:, 0]] == [
            names[int(i) - 1] for i in of_model[:, 0]
        ]
        np.testing.assert_array_equal(rows[:, 1:], of_model[:, 1:])


def test_a_data_set_of_other_classes_is_refused_by_name():
    model = mb.SSD7(class_names=("circle", "square", "triangle", "ring"), image_size=SIZE)
    with pytest.raises(ValueError, match="only the model has 'ring'; only the data set has 'star'"):
        mb.predict_dataset(model, mb.load_shapes(1))


def test_to_pixels_of_a_whole_batch():
    with pytest.raises(ValueError, match=r"rows \(detections, 6\) of one image, got \(2, 5, 6\)"):
        to_pixels(np.zeros((2, 5, 6)), 10, 10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m, d: mb.predict_dataset(d, m),
            TypeError,
            "DetectionDataset .* arguments swapped",
        ),
        (
            lambda m, d: mb.predict_dataset(m, "folder"),
            TypeError,
            "dataset must be a DetectionDataset, got str 'folder'",
        ),
        (lambda m, d: mb.detect("street.jpg", m), TypeError, "images must be .*are the arguments swapped"),
        (lambda m, d: mb.detect(m, "x.jpg", min_score=50), ValueError, "min_score must be between 0 and 1"),
        (
            lambda m, d: mb.evaluate_voc(d, []),
            TypeError,
            "dataset must be .*arguments swapped",
        ),
        (
            lambda m, d: mb.evaluate_voc([mb.detect(m, r.image()) for r in d], d),
            TypeError,
            "got Detections, from which detect has left out low scores",
        ),
    ],
)
def test_obvious_mistakes(model, call, error, message):
    with pytest.raises(error, match=message):
        call(model, mb.load_shapes(1, (50, 90)))
