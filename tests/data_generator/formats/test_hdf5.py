import os
import pickle
import time

import h5py
import numpy as np
import pytest

from multibox.data_generator import (
    DataGenerator,
    ImageError,
    create_hdf5_dataset,
    load_hdf5,
    load_shapes,
    read_image,
    ssd_augmentation,
)

DRAWN = load_shapes(6, (40, 60))


def samples(dataset, **options):
    batches = DataGenerator(dataset, 2, ssd_augmentation((32, 48)), **options)
    batches.on_epoch_begin()
    try:
        return np.concatenate([batches[i][0] for i in range(len(batches))])
    finally:
        batches.on_epoch_end()


def test_workers_of_every_kind_see_the_same(tmp_path):
    create_hdf5_dataset(DRAWN, tmp_path / "data.h5", progress=False)
    expected = samples(DRAWN, workers=0)
    loaded = load_hdf5(tmp_path / "data.h5")
    for options in ({"workers": 0}, {"workers": 3}, {"workers": 2, "use_multiprocessing": True}):
        np.testing.assert_array_equal(samples(loaded, **options), expected)


def test_an_image_function_is_small_when_it_is_sent_to_a_worker(tmp_path):
    create_hdf5_dataset(DRAWN, tmp_path / "data.h5", decoded=True, progress=False)
    image = load_hdf5(tmp_path / "data.h5")[2].image
    image()
    assert len(pickle.dumps(image)) < 500
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(image))(), image())


@pytest.mark.parametrize(
    "field", ["format", "images", "image_starts", "written", "class_names", "labels", "boxes"]
)
def test_files_that_are_no_such_data_set(tmp_path, field):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        if field in file.attrs:
            del file.attrs[field]
        elif field == "written":
            file[field][2] = 0
        else:
            del file[field]
            file[field] = np.zeros((3, 4) if field == "boxes" else 3, np.uint8)
    with pytest.raises(ValueError, match=r"data\.h5: not a data set of create_hdf5_dataset: "):
        load_hdf5(path)


def test_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_hdf5(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.h5: not a data set"):
        load_hdf5(tmp_path / "text.h5")
    with pytest.raises(ValueError, match="the data set is empty"):
        create_hdf5_dataset(DRAWN[:0], tmp_path / "empty.h5")


def test_a_file_that_changes_after_it_was_opened(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    loaded = load_hdf5(path)
    os.utime(path, (time.time() + 5, time.time() + 5))
    with pytest.raises(ImageError, match="changed after it was loaded"):
        read_image(loaded[0].image)


@pytest.mark.parametrize("decoded", [False, True])
def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, decoded):
    """A memory map would end the process by SIGBUS."""
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, decoded=decoded, progress=False)
    loaded = load_hdf5(path)
    np.testing.assert_array_equal(read_image(loaded[0].image), read_image(DRAWN[0].image))
    first, last = loaded[0].image, loaded[len(loaded) - 1].image
    os.truncate(path, last.start + 10)
    read_image(first)
    wanted = last.stop - last.start
    message = rf"data\.h5 \(bytes {last.start} to {last.stop}\): the file has 10 of these {wanted} bytes; "
    with pytest.raises(ImageError, match=message):
        read_image(last)
    os.truncate(path, 100)
    with pytest.raises(ImageError, match=f"the file has 0 of these {first.stop - first.start} bytes"):
        read_image(first)


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def declared(file):
    """Ten thousand million labels of which nothing is stored."""
    del file["labels"]
    file.create_dataset("labels", (10**10,), "i4", chunks=(1 << 16,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            attribute("class_names", [1, 2]),
            "the attribute class_names of /: expected a text, got whole numbers",
        ),
        (attribute("class_names", "3"), "class_names: expected a JSON list of texts, got 3"),
        (attribute("class_names", '[["a"]]'), "class_names: expected a JSON list of texts"),
        (attribute("name", 3), "the attribute name of /: expected a text"),
        (attribute("decoded", "yes"), "the attribute decoded of /: expected a number, got text"),
        (replaced("image_id", np.arange(6)), "an array of type whole numbers in /image_id"),
        (lambda f: f.move("labels", "x") or f.create_group("labels"), "no dataset in /labels"),
        (replaced("boxes", ["a", "b"]), "an array of type text in /boxes"),
        (replaced("width", np.full(5, 60)), r"width: expected the shape \(6,\), got \(5,\)"),
        (replaced("width", np.full(6, -1)), "width: expected numbers of pixels from 1 to 999999"),
        (replaced("object_starts", np.zeros(7)), "object_starts: expected whole numbers, got float64"),
        (declared, "/labels of shape .10000000000,., but 0 bytes for it"),
        (replaced("labels", h5py.SoftLink("/labels")), "a link to another place in /labels"),
        (replaced("boxes", h5py.ExternalLink("other.h5", "/boxes")), "a link to another place in /boxes"),
    ],
)
def test_wrong_fields_are_named(tmp_path, change, message):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message) as error:
        load_hdf5(path)
    assert str(error.value).startswith(f"{path}: not a data set of create_hdf5_dataset: ")
    assert "\n" not in str(error.value)


def test_labels_with_a_fraction_and_falling_starts(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path, "r+") as file:
        labels = file["labels"][:] + 0.5
        del file["labels"]
        file["labels"] = labels
    with pytest.raises(ValueError, match="labels: expected whole numbers, got float64"):
        load_hdf5(path)
    with h5py.File(path, "r+") as file:
        del file["labels"]
        file["labels"] = labels.astype(int)
        file["object_starts"][2] = 10_000
    with pytest.raises(ValueError, match="object_starts: expected numbers that rise from 0"):
        load_hdf5(path)


@pytest.mark.parametrize(
    ("name", "decoded"), [("width", True), ("width", False), ("decoded", False), ("decoded", True)]
)
def test_an_image_of_another_size_is_an_image_error(tmp_path, name, decoded):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, decoded=decoded, progress=False)
    with h5py.File(path, "r+") as file:
        if name == "width":
            file["width"][:] = 2 * file["width"][:]
        else:
            file.attrs["decoded"] = not decoded
    record = load_hdf5(path)[0]
    with pytest.raises(ImageError):
        read_image(record.image, size=(record.width, record.height))


def test_a_damaged_heap_is_refused(tmp_path):
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    data = bytearray(path.read_bytes())
    start = data.find(b"GCOL\x01\0\0\0")
    data[start + 16 : start + 32] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"data\.h5: .*a damaged heap of strings"):
        load_hdf5(path)


def test_texts_cannot_declare_more_bytes_than_the_file(tmp_path):
    """The HDF5 library would allocate 750 MB for this file of 50 KB before it compares the length."""
    path = tmp_path / "data.h5"
    create_hdf5_dataset(DRAWN, path, progress=False)
    with h5py.File(path) as file:
        place = file["image_id"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[place + 3] = 47
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"texts of 788529\d+ bytes in /image_id, but the file has \d+ bytes"
    ):
        load_hdf5(path)


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="expected a file, but this is a named pipe"):
        load_hdf5(tmp_path / "pipe")
