import csv
from dataclasses import replace

import keras
import numpy as np
import pytest

import multibox as mb

SIZE = (64, 64)
DATASET = mb.load_shapes(8, SIZE)
adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD


def parts(**options):
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    encoder = mb.GroundTruthEncoder(mb.anchors_of(model), 4)
    data = mb.DataGenerator(DATASET, 4, mb.ssd_augmentation(SIZE), encoder, workers=0, **options)
    return model, data


def rows(folder):
    with (folder / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_what_a_run_leaves_behind(tmp_path):
    model, data = parts()
    mb.train(
        model,
        data,
        tmp_path / "run",
        epochs=2,
        optimizer=adam(1e-3),
        validation_data=data,
        verbose=0,
    )
    names = sorted(path.name for path in (tmp_path / "run").iterdir() if not path.name.startswith("."))
    assert names == ["best.keras", "history.csv", "last.keras"]
    log = rows(tmp_path / "run")
    assert [row["epoch"] for row in log] == ["0", "1"]
    assert {"loss", "localization", "confidence", "val_loss"} <= set(log[0])
    assert float(log[0]["loss"]) > float(log[0]["localization"]) + float(log[0]["confidence"])  # weight decay


def test_a_run_is_not_overwritten(tmp_path):
    (tmp_path / "history.csv").write_text("epoch,loss\n0,1\n")
    model, data = parts()
    with pytest.raises(FileExistsError, match=r"holds a run \(1 finished epochs\): go on .* resume=True, or"):
        mb.train(model, data, tmp_path, epochs=3, optimizer=adam())
    with pytest.raises(FileExistsError, match=r"history\.csv holds epochs of a run, but there is no .*last"):
        mb.train(model, data, tmp_path, epochs=3, optimizer=adam(), resume=True)
    assert (tmp_path / "history.csv").read_text() == "epoch,loss\n0,1\n"


def test_a_run_that_failed_at_once_does_not_block_its_folder(tmp_path):
    (tmp_path / "history.csv").write_text("")
    model, data = parts()
    mb.train(model, data, tmp_path, epochs=1, optimizer=adam(), verbose=0)
    assert len(rows(tmp_path)) == 1


def test_model_and_data_that_do_not_fit(tmp_path):
    model, data = parts()

    def attempt(message, model=model, data=data, **options):
        with pytest.raises(ValueError, match=message):
            mb.train(model, data, tmp_path / "run", epochs=1, optimizer=adam(), **options)
        assert not (tmp_path / "run").exists()

    images_only = mb.DataGenerator(DATASET, 4, mb.ssd_augmentation(SIZE))
    attempt("dataset has no encoder", data=images_only)
    attempt("validation_data has no encoder", validation_data=images_only)
    attempt("batch_size belongs to the DataGenerator", batch_size=8)
    attempt("augmentation belongs to the DataGenerator", augmentation=mb.resize_only(SIZE))
    attempt("built for inference", model=mb.to_inference(model))
    attempt("the model has 3 classes, the encoder of dataset 4", model=mb.SSD7(3, image_size=SIZE))
    other = mb.anchors.ssd7_anchors(SIZE, scales=(0.1, 0.2, 0.3, 0.4, 0.5))
    attempt("the encoder of dataset has other anchors than the model", model=mb.SSD7(4, anchors=other))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_image_late_in_an_epoch_is_named(tmp_path, workers):
    broken = replace(DATASET[7], image_id="broken", image=str(tmp_path / "broken.jpg"))
    dataset = mb.DetectionDataset(DATASET.class_names, [*DATASET.records[:7], broken])
    model, data = parts()
    data = mb.DataGenerator(dataset, 1, mb.resize_only(SIZE), data.encoder, shuffle=False, workers=workers)
    with pytest.raises(mb.data_generator.ImageError, match=r"broken\.jpg: cannot read the image"):
        mb.train(model, data, tmp_path / "run", epochs=1, optimizer=adam(), verbose=0)
    with pytest.raises(mb.data_generator.ImageError, match=r"broken\.jpg: cannot read the image"):
        mb.predict_dataset(model, dataset, batch_size=1, progress=False, workers=workers)


def test_another_error_is_not_taken_for_that_of_an_image_made_ahead(tmp_path):
    missing = replace(DATASET[2], image=str(tmp_path / "missing.jpg"))
    dataset = mb.DetectionDataset(DATASET.class_names, [*DATASET[:2], missing])
    model, data = parts()
    data = mb.DataGenerator(dataset, 1, mb.resize_only(SIZE), data.encoder, shuffle=False, workers=2)

    def fail(batch, logs):
        raise KeyError("the callback's own")

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=fail)
    with pytest.raises(KeyError, match="the callback's own"):
        mb.train(model, data, tmp_path / "run", epochs=1, optimizer="sgd", callbacks=[callback], verbose=0)


def test_a_loss_without_an_optimizer(tmp_path):
    model, data = parts()
    model.compile("sgd", loss=mb.SSDLoss())
    with pytest.raises(ValueError, match="a loss needs an optimizer"):
        mb.train(model, data, tmp_path, epochs=1, loss=mb.SSDLoss())


def test_a_loss_of_ones_own(tmp_path):
    model, data = parts()
    loss = mb.SSDLoss(localization_weight=0.0)
    history = mb.train(model, data, tmp_path, epochs=1, optimizer=adam(), loss=loss, verbose=0)
    assert model.loss is loss
    assert history.history["localization"] == [0]


def test_a_loss_of_keras_gets_targets_like_predictions(tmp_path):
    model, data = parts()
    options = {"epochs": 1, "optimizer": "sgd", "loss": keras.losses.Huber(), "verbose": 0}
    history = mb.train(model, data.dataset, tmp_path, validation_data=data.dataset, **options).history
    assert np.isfinite(history["loss"]).all() and np.isfinite(history["val_loss"]).all()


def sigmoid_model():
    return mb.SSDMobileNet(4, alpha=0.25, anchors=mb.anchors.ssd_mobilenet_anchors(SIZE))


def test_the_loss_reads_the_logits_as_the_model_does(tmp_path):
    model = sigmoid_model()
    assert mb.loss_of(model, localization_weight=0.5).get_config()["localization_weight"] == 0.5
    encoder = mb.GroundTruthEncoder(mb.anchors_of(model), 4, sparse=True)
    data = mb.DataGenerator(DATASET, 4, mb.ssd_augmentation(SIZE), encoder, workers=0)
    mb.train(model, data, tmp_path / "run", epochs=1, optimizer=adam(), verbose=0)
    assert model.loss.activation == "sigmoid"
    assert isinstance(model.loss, mb.SSDFocalLoss) and model.loss.alpha == 0.75
    resumed = keras.models.load_model(tmp_path / "run" / "last.keras")
    assert resumed.loss.activation == mb.activation_of(resumed) == "sigmoid"


def test_a_loss_for_other_scores_than_the_models(tmp_path):
    def attempt(model, data, message, optimizer="sgd", **options):
        with pytest.raises(ValueError, match=message):
            mb.train(model, data, tmp_path / "run", epochs=1, optimizer=optimizer, **options)
        assert not (tmp_path / "run").exists()

    softmax, data = parts()
    loss = mb.SSDLoss(activation="sigmoid")
    attempt(softmax, data, "the loss is for sigmoid scores, the model's are softmax", loss=loss)
    softmax.compile("sgd", loss=loss)
    attempt(softmax, data, "for sigmoid scores", optimizer=None)
    sigmoid = sigmoid_model()
    encoder = mb.GroundTruthEncoder(mb.anchors_of(sigmoid), 4)
    data = mb.DataGenerator(DATASET, 4, mb.ssd_augmentation(SIZE), encoder, workers=0)
    message = r"for softmax scores, the model's are sigmoid; use SSDLoss\(activation=\"sigmoid\"\)"
    attempt(sigmoid, data, message, loss=mb.SSDLoss())


def test_more_callbacks(tmp_path):
    model, data = parts()
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    mb.train(model, data, tmp_path, epochs=2, optimizer=adam(), callbacks=[callback], verbose=0)
    assert seen == [0, 1]


def test_a_data_set_is_all_that_train_needs(tmp_path):
    model = mb.SSD7(4, image_size=SIZE)
    history = mb.train(model, DATASET, tmp_path, epochs=2, validation_data=DATASET[:4], verbose=0)
    assert len(history.history["val_loss"]) == 2
    assert mb.class_names_of(model) == DATASET.class_names
    assert mb.class_names_of(keras.models.load_model(tmp_path / "best.keras")) == DATASET.class_names
    assert model.optimizer.iterations == 2  # 8 images are one batch of at most 16


def test_a_data_set_and_its_generator_give_the_same_training(tmp_path):
    losses = []
    for name in ("dataset", "generator"):
        keras.utils.set_random_seed(0)
        model = mb.SSD7(4, image_size=SIZE)
        data = DATASET
        options = {"batch_size": 4, "seed": 3}
        if name == "generator":
            encoder = mb.GroundTruthEncoder(model, sparse=True)
            data = mb.DataGenerator(DATASET, 4, mb.ssd_augmentation(SIZE), encoder, seed=3)
            options = {}
        history = mb.train(model, data, tmp_path / name, epochs=1, optimizer=adam(), verbose=0, **options)
        losses.append(history.history["loss"][0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_the_validation_sees_whole_images_in_their_order(tmp_path, monkeypatch):
    seen = []

    class Spy(mb.DataGenerator):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            seen.append(self)

    monkeypatch.setattr("multibox.training.batches.DataGenerator", Spy)
    model = mb.SSD7(4, image_size=SIZE)
    mb.train(model, DATASET, tmp_path, epochs=1, validation_data=DATASET, verbose=0)
    training, validation = seen
    assert training.transform == mb.ssd_augmentation(SIZE)
    assert validation.transform == mb.resize_only(SIZE)
    assert training.shuffle and not validation.shuffle
    assert training.encoder.sparse


def test_classes_in_another_order_follow_the_model(tmp_path):
    names = ("star", "triangle", "square", "circle")
    other = mb.SSD7(class_names=names, image_size=SIZE)
    with pytest.warns(UserWarning, match="labels are changed to the model's order: star, triangle"):
        mb.train(other, DATASET, tmp_path / "run", epochs=1, verbose=0)
    assert mb.class_names_of(other) == names


def test_other_classes_are_refused(tmp_path):
    def attempt(message, **options):
        with pytest.raises(ValueError, match=message):
            mb.train(mb.SSD7(image_size=SIZE, **options), DATASET, tmp_path / "run", epochs=1)
        assert not (tmp_path / "run").exists()

    attempt(
        "only the model has 'ring'; only the data set has 'star'",
        class_names=("circle", "square", "triangle", "ring"),
    )
    attempt("the model has 3 classes, dataset 4 .circle, square", num_classes=3)
    with pytest.raises(TypeError, match=r"dataset must be a DetectionDataset or .*, got list"):
        mb.train(mb.SSD7(4, image_size=SIZE), [1], tmp_path / "run", epochs=1)


def test_default_optimizers():
    for build, rate in ((mb.SSD7, 4e-3), (mb.SSDMobileNet, 1e-3)):
        optimizer = mb.recipes.default_optimizer(build(2), 100)
        assert isinstance(optimizer, keras.optimizers.Adam)
        schedule = optimizer._learning_rate
        assert float(schedule(5)) == pytest.approx(rate)
        assert float(schedule(105)) == pytest.approx(0.01 * rate)


def test_arguments_in_another_order(tmp_path):
    model = mb.SSD7(4, image_size=SIZE)
    with pytest.raises(TypeError, match=r"got DetectionDataset .*; are the arguments swapped"):
        mb.train(DATASET, model, tmp_path / "run", epochs=1)
    with pytest.raises(TypeError, match=r"output must be a path, got DetectionDataset .*validation_data"):
        mb.train(model, DATASET, DATASET, epochs=1)


def test_an_empty_data_set_is_not_taken_for_no_data(tmp_path):
    model = mb.SSD7(4, image_size=SIZE)
    for data, validation in ((DATASET[:0], None), (DATASET, DATASET[:0])):
        with pytest.raises(ValueError, match="the data set is empty"):
            mb.train(model, data, tmp_path / "run", epochs=1, validation_data=validation)
    assert not (tmp_path / "run").exists()


def test_data_without_objects_are_refused(tmp_path):
    """A crowd region is no object to learn."""
    pixels = np.zeros((40, 40, 3), np.uint8)
    box = np.array([[5, 5, 30, 30]], np.float32)
    crowd = mb.Record("a", lambda: pixels, 40, 40, box, np.array([1], np.int32), crowd=np.array([True]))
    empty = mb.Record("b", lambda: pixels, 40, 40, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))
    data = mb.DetectionDataset(("cat",), [crowd, empty])
    with pytest.raises(ValueError, match="train: none of the 2 images has an object to learn"):
        mb.train(mb.SSD7(1, image_size=(64, 64)), data, tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()
