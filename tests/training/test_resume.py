"""A run that was stopped goes on as if it had not been."""

import io
import os
import signal
import zipfile

import keras
import numpy as np
import pytest

import multibox as mb
from multibox.training.state import RunState, load_run, save_run

SIZE = (64, 64)
DATASET = mb.load_shapes(8, SIZE)


class Count(keras.callbacks.Callback):
    """Counts steps; asks the process to end after one of them."""

    def __init__(self, end_after=None, number=signal.SIGINT):
        super().__init__()
        self.end_after, self.number = end_after, number
        self.steps, self.batches = 0, []

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        self.batches.append(batch)
        if self.steps == self.end_after:
            os.kill(os.getpid(), self.number)

    def on_test_batch_end(self, batch, logs=None):
        if self.end_after == "validation":
            os.kill(os.getpid(), self.number)


def build():
    """A small detector. Few steps take less time than compiling them."""
    keras.utils.set_random_seed(0)
    model = mb.SSD7(4, image_size=SIZE)
    loss = mb.SSDLoss()
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, metrics=loss.metrics(), run_eagerly=True)
    return model


def run(folder, *callbacks, model=None, **options):
    """A run of two epochs of four steps; the model and the history."""
    model = model or build()
    options = {
        "epochs": 2,
        "batch_size": 2,
        "validation_data": DATASET[:2],
        "best_by": "val_loss",
        "verbose": 0,
    } | options
    return model, mb.train(model, DATASET, folder, callbacks=callbacks, **options)


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The weights, history and log of a run without interruption."""
    folder = tmp_path_factory.mktemp("straight")
    model, history = run(folder)
    return model.get_weights(), history.history, (folder / "history.csv").read_text()


@pytest.mark.parametrize("end_after", [1, 3, 4, 6, "validation"])
def test_it_equals_training_straight_through(tmp_path, straight, end_after):
    """To the last bit, wherever the first run ended: within an epoch, at its last step, in its validation."""
    weights, history, log = straight
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Count(end_after))
    state = load_run(tmp_path / "last.keras")
    assert 4 * state.epoch + state.step == (4 if end_after == "validation" else end_after)
    count = Count()
    model = build()
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))  # all comes from the checkpoint
    model, resumed = run(tmp_path, count, model=model, resume=True)
    assert count.steps == 8  # its state went on, too
    assert count.batches == [0, 1, 2, 3] * 2
    assert resumed.history == history
    assert resumed.epoch == [0, 1]
    assert (tmp_path / "history.csv").read_text() == log
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_script_can_be_started_again_unchanged(tmp_path, straight):
    """It begins a run, goes on with more epochs, and does nothing when all are done."""
    first = run(tmp_path, resume=True)[1]
    assert first.history == straight[1]
    assert run(tmp_path, resume=True)[1].history == straight[1]
    before = (tmp_path / "last.keras").read_bytes()
    longer = run(tmp_path, resume=True, epochs=3)[1]
    assert longer.epoch == [0, 1, 2]
    assert longer.history["loss"][:2] == straight[1]["loss"]
    assert (tmp_path / "last.keras").read_bytes() != before


def test_sigterm_ends_with_its_status_and_a_checkpoint(tmp_path):
    with pytest.raises(SystemExit) as ended:
        run(tmp_path, Count(2, signal.SIGTERM))
    assert ended.value.code == 128 + 15
    assert load_run(tmp_path / "last.keras").step == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_checkpoint_by_time(tmp_path):
    """With no time between checkpoints there is one after each step, and a kill loses one."""
    seen = []

    class Kill(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(load_run(tmp_path / "last.keras").step)
            if batch == 3:
                raise MemoryError  # nothing is written any more

    with pytest.raises(MemoryError):
        run(tmp_path, Kill(), checkpoint_minutes=0)
    assert seen == [0, 1, 2, 3]


def test_a_run_that_is_killed_before_the_first_epoch_ends_begins_with_the_same_weights(tmp_path):
    class Kill(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise MemoryError

    with pytest.raises(MemoryError):
        run(tmp_path, Kill())
    assert load_run(tmp_path / "last.keras").step == 0
    saved = keras.models.load_model(tmp_path / "last.keras")
    for a, b in zip(build().get_weights(), saved.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_data_of_which_an_epoch_cannot_be_continued(tmp_path):
    """The order of another data set is not known: a run goes on at the beginning of the epoch."""
    batches = mb.DataGenerator(DATASET, 2, mb.resize_only(SIZE), mb.GroundTruthEncoder(build(), sparse=True))

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, batch):
            return batches[batch]

    keras.utils.set_random_seed(0)
    with pytest.raises(KeyboardInterrupt):
        mb.train(build(), Batches(), tmp_path, epochs=1, callbacks=[Count(2)], verbose=0)
    assert load_run(tmp_path / "last.keras").step == 0
    count = Count()
    mb.train(build(), Batches(), tmp_path, epochs=1, callbacks=[count], resume=True, verbose=0)
    assert count.batches == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"batch_size": 4},
            r"after step 1 of epoch 1, .* the same data .* batch_size 2, now 4; steps 4",
        ),
        ({"seed": 1}, r"it had seed 0, now 1"),
        ({"optimizer": "sgd"}, r"last\.keras does not fit the model and the optimizer of this run"),
    ],
)
def test_a_run_goes_on_with_what_it_had(tmp_path, change, message):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Count(1))
    before = (tmp_path / "last.keras").read_bytes()
    with pytest.raises(ValueError, match=message):
        run(tmp_path, Count(), resume=True, **change)
    with pytest.raises(ValueError, match="the run had the callbacks Count, now none; their state"):
        run(tmp_path, resume=True)
    assert (tmp_path / "last.keras").read_bytes() == before


def test_other_repeats_of_the_images(tmp_path):
    def repeating(factors):
        encoder = mb.GroundTruthEncoder(build(), sparse=True)
        return mb.DataGenerator(DATASET, 2, mb.resize_only(SIZE), encoder, repeat_factors=factors, workers=0)

    def train(factors, *callbacks, **options):
        options = {"epochs": 1, "verbose": 0} | options
        return mb.train(build(), repeating(factors), tmp_path, callbacks=callbacks, **options)

    with pytest.raises(KeyboardInterrupt):
        train([2, *[1] * 7], Count(1))
    with pytest.raises(
        ValueError, match=r"only the same data go on from there; it had repeat_factors \w+, now"
    ):
        train([*[1] * 7, 2], Count(), resume=True)
    with pytest.raises(ValueError, match=r"it had steps 5, now 4; repeat_factors \w+, now None$"):
        train(None, Count(), resume=True)
    train([2, *[1] * 7], Count(), resume=True)


def test_files_that_hold_no_run(tmp_path):
    build().save(tmp_path / "last.keras")
    with pytest.raises(ValueError, match=r"last\.keras holds a model, but no state of a run of `train`"):
        run(tmp_path, resume=True)
    (tmp_path / "last.keras").write_bytes(b"PK")
    with pytest.raises(ValueError, match=r"last\.keras: damaged state of a run"):
        run(tmp_path, resume=True)


def test_one_run_at_a_time(tmp_path):
    class Second(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            with pytest.raises(FileExistsError, match=rf"in use by another run \(process {os.getpid()} on "):
                run(tmp_path, resume=True)

    (tmp_path / ".partial-1-last.keras").write_bytes(b"of a run that was killed")
    run(tmp_path, Second(), epochs=1)
    assert not list(tmp_path.glob(".partial*"))
    run(tmp_path, Second(), epochs=1, resume=True)  # free again


def test_the_validation_of_a_resumed_run_has_the_same_batches(tmp_path):
    """Each batch is divided by its own positives, so that other batches have another mean."""

    def validation(model):
        encoder = mb.GroundTruthEncoder(model, sparse=True)
        return mb.DataGenerator(DATASET, 2, mb.resize_only(SIZE), encoder)  # shuffled

    model = build()
    _, straight = run(tmp_path / "straight", model=model, validation_data=validation(model))
    model = build()
    run(tmp_path / "resumed", model=model, validation_data=validation(model), epochs=1)
    model = build()
    _, resumed = run(tmp_path / "resumed", model=model, validation_data=validation(model), resume=True)
    assert resumed.history["val_loss"] == straight.history["val_loss"]


def test_large_arrays_of_callbacks_are_kept(tmp_path, monkeypatch):
    """Such as the best weights of EarlyStopping: what may be written can be read."""
    monkeypatch.setattr("multibox.training.state._MAX_STATE_BYTES", 1000)
    array = np.arange(1000.0)
    save_run(tmp_path / "last.keras", build(), RunState(arrays={"callback/0/best_weights": array}))
    np.testing.assert_array_equal(load_run(tmp_path / "last.keras").arrays["callback/0/best_weights"], array)


def test_arrays_that_expand_are_refused(tmp_path):
    path, packed = tmp_path / "last.keras", io.BytesIO()
    save_run(path, build(), RunState())
    np.savez_compressed(packed, zeros=np.zeros(1_000_000))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["multibox/run.npz"] = packed.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    with pytest.raises(ValueError, match=r"last\.keras: damaged state .*zeros\.npy is larger than the file"):
        load_run(path)
