"""Images with other channels than RGB, from the file to the detections."""

import keras
import numpy as np
import pytest
from PIL import Image

import multibox as mb
from multibox.data_generator.batches.cache import cache_in_ram
from multibox.layers import ImageNormalization
from multibox.models.builder import _for_channels as for_channels
from multibox.models.detector import value_range_of

SIZE = (64, 64)


def data_set(folder, channels, dtype=np.uint8, count=4):
    """Bright squares on a dark ground, in files of NumPy or, with four channels of 8 bits, TIFF."""
    records, rng = [], np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 60, (80, 100, channels)).astype(dtype)
        pixels[20:50, 30:70] = 250
        if dtype == np.uint8 and channels == 4:
            path = folder / f"{i}.tif"
            Image.fromarray(pixels, "RGBA").save(path)
        else:
            path = folder / f"{i}.npy"
            np.save(path, pixels)
        box, label = np.array([[30, 20, 70, 50]], np.float32), np.ones(1, np.int32)
        records.append(mb.Record(f"{i}", str(path), 100, 80, box, label))
    return mb.DetectionDataset(["square"], records, "squares")


@pytest.mark.parametrize("channels", [1, 4])
def test_training_prediction_saving_and_plots(tmp_path, channels):
    data = data_set(tmp_path, channels).with_pixels(channels=channels)
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE, channels=channels)
    history = mb.train(model, data, tmp_path / "run", epochs=1, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    again = keras.models.load_model(tmp_path / "run" / "last.keras", compile=False)
    assert again.input_shape == (None, *SIZE, channels)
    for found, expected in zip(
        mb.predict_dataset(again, data, progress=False),
        mb.predict_dataset(model, cache_in_ram(data, progress=False), progress=False),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    detections = mb.detect(model, [data[0].image, data[0].read()], min_score=0)
    np.testing.assert_allclose(detections[0].rows, detections[1].rows, atol=1e-4)
    for each in detections:
        each.plot()
    mb.plot_detection_grid(data[:1])


def test_samples_of_five_channels_in_processes_are_those_of_threads(tmp_path):
    data = data_set(tmp_path, 5).with_pixels(channels=5)
    options = {"batch_size": 2, "transform": mb.ssd_augmentation(SIZE), "seed": 3}
    threads = mb.DataGenerator(data, workers=0, **options)
    processes = mb.DataGenerator(data, workers=1, use_multiprocessing=True, **options)
    processes.on_epoch_begin()
    images, _ = processes[0]
    processes.close()
    assert images.shape == (2, *SIZE, 5)
    np.testing.assert_array_equal(images, threads[0][0])


def test_train_stores_the_range_and_detect_uses_it(tmp_path):
    data = data_set(tmp_path, 3, np.uint16).with_pixels(value_range=(0, 255))
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    mb.train(model, data, tmp_path / "run", epochs=1, batch_size=4, verbose=0)
    again = keras.models.load_model(tmp_path / "run" / "last.keras", compile=False)
    assert value_range_of(again) == (0, 255)
    # Without a range, these numbers of 16 bits would all be 0.
    eight_bits = np.load(data[0].image).astype(np.uint8)
    for options in ({}, {"value_range": (0, 255)}):
        from_file, from_array = mb.detect(again, [data[0].image, eight_bits], min_score=0, **options)
        np.testing.assert_allclose(from_file.rows, from_array.rows, atol=1e-4)
    plain = mb.predict_dataset(again, data.with_pixels(), progress=False)
    np.testing.assert_array_equal(plain[0], mb.predict_dataset(again, data, progress=False)[0])
    with pytest.warns(UserWarning, match="trained on images read with value_range="):
        mb.predict_dataset(again, data.with_pixels(value_range=(0, 4095)), progress=False)


def test_numbers_from_0_to_1_need_a_range():
    model = mb.SSD7(1, image_size=SIZE)
    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    with pytest.raises(mb.ImageError, match=r"its numbers are 0 to 1: .* value_range"):
        mb.detect(model, picture / 255)
    found = mb.detect(model, picture / 255, min_score=0, value_range=(0, 1))
    np.testing.assert_allclose(found.rows, mb.detect(model, picture, min_score=0).rows, atol=1e-4)


def test_channels_that_do_not_fit_are_named(tmp_path):
    data = data_set(tmp_path, 4)
    model = mb.SSD7(class_names=data.class_names, image_size=SIZE)
    with pytest.raises(ValueError, match="takes 3 channels, the images of squares are read with 4"):
        mb.train(model, data.with_pixels(channels=4), tmp_path / "run", epochs=1)
    with pytest.raises(ValueError, match="takes 3 channels, the images are read with 4"):
        mb.predict_dataset(model, data.with_pixels(channels=4))
    with pytest.raises(ValueError, match=r"with Pixels\(channels=3, value_range=\(0.0, 9.0\)\)"):
        mb.train(
            model, data, tmp_path / "run", epochs=1, validation_data=data.with_pixels(value_range=(0, 9))
        )
    four = mb.SSD7(1, image_size=SIZE, channels=4)
    Image.new("RGB", (100, 80)).save(tmp_path / "a.png")
    with pytest.raises(mb.ImageError, match=r"a\.png: the image has 3 channels, expected 4"):
        mb.detect(four, tmp_path / "a.png")
    mixed = mb.DetectionDataset(["square"], [data[0], data.with_pixels(channels=4)[1]])
    with pytest.raises(ValueError, match="0 has 3 channels, 1 has 4"):
        mb.DataGenerator(mixed, 1, mb.resize_only(SIZE))


def test_an_image_with_the_wrong_channels_can_be_skipped(tmp_path):
    data = data_set(tmp_path, 4)
    np.save(tmp_path / "bad.npy", np.zeros((80, 100, 5), np.uint8))
    empty = np.zeros((0, 4), np.float32), np.zeros(0, np.int32)
    bad = mb.Record("bad", str(tmp_path / "bad.npy"), 100, 80, *empty)
    data = mb.DetectionDataset(["square"], [*data.records, bad]).with_pixels(channels=4)
    generator = mb.DataGenerator(data, 5, mb.resize_only(SIZE), shuffle=False, workers=0, on_error="skip")
    with pytest.warns(UserWarning, match=r"bad\.npy: the image has 5 channels, expected 4"):
        generator[0]


def test_hdf5_keeps_channels_and_range(tmp_path):
    data = data_set(tmp_path, 5).with_pixels(channels=5, value_range=(0, 4095))
    for decoded in (False, True):
        path = tmp_path / f"{decoded}.h5"
        mb.create_hdf5_dataset(data, path, decoded=decoded, progress=False)
        stored = mb.load_hdf5(path)
        assert stored[1].pixels == (5, (0, 4095))
        np.testing.assert_array_equal(stored[1].read(), data[1].read())
    mixed = mb.DetectionDataset(["square"], [*data.records[:1], *data.with_pixels(channels=5).records[1:]])
    with pytest.raises(ValueError, match="read in different ways"):
        mb.create_hdf5_dataset(mixed, tmp_path / "mixed.h5")


def test_normalization_of_channels():
    pixels = np.array([[[[10.0, 20.0, 30.0, 40.0]]]])
    layer = ImageNormalization([1.0, 2.0, 3.0, 4.0], bgr=True)
    assert np.ravel(layer(pixels)).tolist() == [27, 18, 9, 36]
    for channels, mean in ((1, [114]), (2, [114, 114]), (5, [123, 117, 102, 114, 114])):
        pixels = for_channels({"mean": [123, 117, 102], "bgr": True}, channels)
        assert pixels == {"mean": mean, "bgr": True}


def test_the_kernel_for_rgb_is_fitted_to_other_channels(tmp_path):
    keras.utils.set_random_seed(0)
    rgb = mb.SSDMobileNet(2, alpha=0.25)
    rgb.save_weights(tmp_path / "rgb.weights.h5")
    kernel = rgb.get_layer("conv1").get_weights()[0]
    four = mb.SSDMobileNet(2, alpha=0.25, channels=5)
    report = mb.load_weights(four, tmp_path / "rgb.weights.h5")
    fitted = four.get_layer("conv1").get_weights()[0]
    np.testing.assert_array_equal(fitted[:, :, :3], kernel)
    for channel in (3, 4):
        np.testing.assert_allclose(fitted[:, :, channel], kernel.mean(axis=2), atol=1e-7)
    assert "2 more channels has the mean" in report.changed["conv1"]
    assert "changed     1 for the model's channels\n    conv1: made for RGB" in str(report)
    gray = mb.SSDMobileNet(2, alpha=0.25, channels=1)
    mb.load_weights(gray, tmp_path / "rgb.weights.h5")
    picture = np.random.default_rng(0).integers(0, 256, (1, 300, 300, 1)).astype("f4")
    expected = np.asarray(rgb(np.repeat(picture, 3, axis=3)))
    np.testing.assert_allclose(np.asarray(gray(picture)), expected, atol=1e-3)


def test_weights_of_four_channels_go_into_four_only(tmp_path):
    four = mb.SSD7(1, image_size=SIZE, channels=4)
    four.save_weights(tmp_path / "four.weights.h5")
    assert not mb.load_weights(mb.SSD7(1, image_size=SIZE, channels=4), tmp_path / "four.weights.h5").changed
    with pytest.raises(ValueError, match="the file is for 4 channels, the model for 3"):
        mb.load_weights(mb.SSD7(1, image_size=SIZE), tmp_path / "four.weights.h5")


def test_bgr_weights_of_caffe_are_fitted():
    from multibox.weights.mapping import Mapped, adapt_pixels, fit_channels

    kernel = np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)  # for B, G, R
    caffe = {"mean": (123.0, 117.0, 104.0), "bgr": True}
    mapped = Mapped("", {"conv1_1": [kernel, np.zeros(2, np.float32)]}, pixels=caffe, first="conv1_1")
    adapt_pixels(mapped, {"mean": [123.0, 117.0, 104.0], "bgr": True})
    fit_channels(mapped, "conv1_1", 4)
    assert mapped.layers["conv1_1"][0].tolist() == [[[[0, 1], [2, 3], [4, 5], [2, 3]]]]
