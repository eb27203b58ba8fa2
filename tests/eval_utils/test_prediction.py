import numpy as np
import pytest

import multibox as mb
from multibox.eval_utils.prediction import to_pixels

SIZE = (64, 96)


@pytest.fixture(scope="module")
def model():
    return mb.SSD7(4, image_size=SIZE)


def test_pixels_by_hand():
    rows = np.array([[2, 0.9, -0.1, 0.25, 0.5, 1.5], [1, 0.3, 0.5, 0.5, 1, 1], [0, 0, 0, 0, 0, 0]])
    expected = [[2, 0.9, 0, 20, 100, 80], [1, 0.3, 100, 40, 200, 80]]
    np.testing.assert_allclose(to_pixels(rows, 200, 80), expected, rtol=1e-6)


def test_equals_predicting_one_by_one(model):
    dataset = mb.load_shapes(5, (50, 90))
    detector = mb.to_inference(model, confidence_threshold=0.2, top_k=7)
    found = mb.predict_dataset(detector, dataset, batch_size=2, progress=False)
    assert len(found) == 5
    transform = mb.ssd_eval(SIZE)
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
        mb.predict_dataset(model, mb.load_shapes(1), transform=mb.ssd_eval((32, 32)))


def test_another_number_of_classes(model):
    dataset = mb.DetectionDataset("abcde", mb.load_shapes(1).records)
    with pytest.raises(ValueError, match="the model has 4 classes, the data set 5"):
        mb.predict_dataset(model, dataset)


def test_a_transform_of_ones_own(model):
    seen, whole = [], mb.ssd_eval(SIZE)

    def transform(record, rng):
        seen.append(record.image_id)
        return whole(record, rng)

    transform.image_size = SIZE
    mb.predict_dataset(model, mb.load_shapes(2), transform=transform, progress=False, workers=0)
    assert set(seen) == {"shapes-0-0", "shapes-0-1"}
