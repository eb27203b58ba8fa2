"""TFRecord files, written here byte by byte as the TensorFlow Object Detection API does."""

import os
import pickle

import numpy as np
import pytest
from reader_files import PIXELS, PNG, example, features, record
from reader_files import write_tfrecord as write

from multibox.data_generator import load_dataset
from multibox.data_generator.formats import tf_records
from multibox.data_generator.formats.layouts import dataset_splits
from multibox.data_generator.formats.tf_records import looks_like_tfrecord
from multibox.data_generator.formats.tfrecord import (
    load_tfrecord,
    looks_like_tfrecord_folder,
    read_label_map,
    scan_tfrecord,
)
from multibox.data_generator.images import ImageError, read_image


def load(path, **options):
    return load_tfrecord(path, progress=False, **options)


@pytest.mark.parametrize("packed", [True, False])
def test_fields(tmp_path, packed):
    path = write(tmp_path / "a.record", example(features(), packed))
    dataset = load(path)
    assert dataset.class_names == ("cat", "dog")
    (r,) = dataset
    assert (r.image_id, r.width, r.height) == ("17", 60, 40)
    assert r.boxes.tolist() == [[15, 5, 30, 30], [0, 0, 60, 40]]
    assert r.labels.tolist() == [2, 1]
    assert (r.difficult.tolist(), r.truncated.tolist(), r.crowd.tolist()) == (
        [False, True],
        [True, False],
        [False, True],
    )
    assert repr(dataset).startswith("<TFRecord a: 1 images, 2 objects of 2 classes")


def test_images_are_read_from_their_place_also_by_other_processes(tmp_path, monkeypatch):
    path = write(tmp_path / "a.record", features(), features(source_id=[b"18"]))
    monkeypatch.chdir(tmp_path)
    first, second = load("a.record")
    monkeypatch.chdir("/")
    for r in (first, second):
        copy = pickle.dumps(r.image)
        assert len(copy) < 1000
        np.testing.assert_array_equal(read_image(pickle.loads(copy)), PIXELS)
    assert str(path) in str(first.image)


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path):
    path = write(tmp_path / "a.record", features(), features(source_id=[b"18"]))
    first, second = load(path)
    np.testing.assert_array_equal(read_image(first.image), PIXELS)
    os.truncate(path, second.image.start + 10)
    read_image(first.image)
    with pytest.raises(ImageError, match=r"a\.record \(bytes .*\): the file has 10 of these .*; it was"):
        read_image(second.image)


def test_a_missing_size_and_id(tmp_path):
    path = write(
        tmp_path / "a.record", features(width=None, source_id=[b""]), features(filename=None, source_id=None)
    )
    first, second = load(path)
    assert (first.image_id, first.width, first.height) == ("b.png", 60, 40)
    assert second.image_id.startswith("a.record:")


def test_images_without_objects(tmp_path):
    nothing = {k: v for k, v in features().items() if "object" not in k}
    dataset = load(write(tmp_path / "a.record", nothing, features(source_id=[b"1"])))
    assert [len(r.labels) for r in dataset] == [0, 2]


def test_labels_and_a_label_map(tmp_path):
    path = write(tmp_path / "a.record", features(text=None, group_of=[1, 0]))
    with pytest.raises(ValueError, match=r"label 2 and no name; the label map is needed: pass its \.pbtxt"):
        load(path)
    label_map = tmp_path / "map.pbtxt"
    label_map.write_text(
        "item {\n  name: 'dog'\n  id: 2\n}\nitem { id: 5 name: \"/m/1\" display_name: 'Cow' }\n"
    )
    with pytest.raises(ValueError, match="label 1 and no name; the label map has no such id"):
        load(path, label_map=label_map)
    label_map.write_text(label_map.read_text() + '# more\nitem {\n id: 1\n name: "cat"\n}\n')
    assert read_label_map(label_map) == {1: "cat", 2: "dog", 5: "Cow"}
    dataset = load(path, label_map=label_map)
    assert dataset.class_names == ("cat", "dog", "Cow")
    assert dataset[0].labels.tolist() == [2, 1] and dataset[0].crowd.tolist() == [True, True]
    assert load(path, label_map=label_map, classes=["dog", "cat"])[0].labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    "text", ["", "item { name: 'a' }", "item { id: 1 name: 'a' } item { id: 1 name: 'b' }"]
)
def test_bad_label_maps(tmp_path, text):
    (tmp_path / "map.pbtxt").write_text(text)
    with pytest.raises(ValueError, match=r"map\.pbtxt: "):
        read_label_map(tmp_path / "map.pbtxt")


def test_files_patterns_and_folders(tmp_path):
    one = write(tmp_path / "train.record-00000-of-00002", features())
    two = write(tmp_path / "train.record-00001-of-00002", features(source_id=[b"18"]))
    (tmp_path / "labels.pbtxt").write_text("")
    for files in (tmp_path, str(tmp_path / "train*"), [one, two]):
        assert [r.image_id for r in load(files)] == ["17", "18"]
    assert looks_like_tfrecord(one) and looks_like_tfrecord_folder(tmp_path)
    assert not looks_like_tfrecord(tmp_path / "labels.pbtxt")
    assert not looks_like_tfrecord_folder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"no TFRecord files at .*none"):
        load(tmp_path / "none*")
    with pytest.raises(FileNotFoundError, match="none"):
        load(tmp_path / "none")
    with pytest.raises(ValueError, match="have the same image id '17'"):
        load([one, one])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoded": None}, "expected one image in image/encoded"),
        ({"encoded": [b""]}, "expected one image in image/encoded"),
        ({"encoded": [b"hello"], "width": None}, "cannot read the size of the image"),
        ({"ymax": [1.0]}, "image/object/bbox/ymax has 1 values for 2 boxes"),
        ({"text": [b"dog"]}, "image/object/class/text has 1 values for 2 boxes"),
        ({"difficult": [1]}, "image/object/difficult has 1 values for 2 boxes"),
        ({"truncated": [b"a", b"b"]}, "image/object/truncated has values of another kind"),
        ({"xmin": [float("nan"), 0.0]}, "the sides in image/object/bbox must be numbers below 1e6"),
        ({"text": None, "label": None}, "2 boxes have neither"),
        ({"width": [3_000_000]}, "image size must be a number below 1e6"),
    ],
)
def test_bad_records_name_file_and_byte(tmp_path, changes, message):
    path = write(tmp_path / "a.record", features(**changes))
    with pytest.raises(ValueError, match=rf"a\.record.* 12.*{message}"):
        load(path)


def test_damage(tmp_path, monkeypatch):
    path, size = tmp_path / "a.record", len(record(example(features())))
    sound = write(path, features(), features(source_id=[b"18"]), features(source_id=[b"19"])).read_bytes()

    def scanned(data):
        path.write_bytes(data)
        errors = []
        ids = [a.image_id for a in scan_tfrecord(path, on_error=errors.append, progress=False)]
        return ids, [str(error) for error in errors]

    changed = bytearray(sound)
    changed[size + 40] ^= 1
    assert scanned(changed) == (
        ["17", "19"],
        [f"{path}: the record at byte {size} is damaged: wrong checksum"],
    )
    changed = bytearray(sound)
    changed[size + 3] ^= 1
    ids, errors = scanned(changed)
    assert ids == ["17"] and len(errors) == 1
    assert f"the record at byte {size} is damaged: wrong checksum of the length" in errors[0]
    for cut in (size + 5, size + 100, 2 * size - 1):
        ids, errors = scanned(sound[:cut])
        assert ids == ["17"] and f"ends inside the record at byte {size}: it is truncated" in errors[0]
    for data, text in ((b"hello, this is text", "no TFRecord file"), (b"\x1f\x8b\x08" + sound, "compressed")):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"a\.record: .*{text}"):
            load(path)
    with pytest.raises(ValueError, match=r"byte 12: expected a tf\.train\.Example, found"):
        load(write(path, b"\xff" * 30))
    monkeypatch.setattr(tf_records, "MAX_RECORD", 100)
    with pytest.raises(ValueError, match=r"at byte 0 is too large: \d+ bytes \(limit 100\)"):
        load(write(path, features()))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.record")
    with pytest.raises(ValueError, match=r"a\.record: expected a file, but this is a named pipe"):
        load(tmp_path / "a.record")


def test_a_file_that_tensorflow_writes(tmp_path):
    tf = pytest.importorskip("tensorflow")
    kinds = {bytes: ("bytes_list", tf.train.BytesList), float: ("float_list", tf.train.FloatList)}
    wrapped = {}
    for name, values in features(label=[2, -1], encoded=[PNG]).items():
        key, kind = kinds.get(type(values[0]), ("int64_list", tf.train.Int64List))
        wrapped[name] = tf.train.Feature(**{key: kind(value=values)})
    data = tf.train.Example(features=tf.train.Features(feature=wrapped)).SerializeToString()
    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        writer.write(data)
        writer.write(example(features(source_id=[b"18"])))
    first, second = load(tmp_path)
    assert first.boxes.tolist() == second.boxes.tolist() == [[15, 5, 30, 30], [0, 0, 60, 40]]
    np.testing.assert_array_equal(read_image(first.image), PIXELS)
    assert [int(v) for v in tf_records.read_example(data)["image/object/class/label"]] == [2, -1]
    assert (tmp_path / "a.tfrecord").read_bytes() == record(data) + record(
        example(features(source_id=[b"18"]))
    )


def test_load_dataset_finds_files_splits_and_the_label_map(tmp_path):
    names = features(**{"class/text": None})
    write(tmp_path / "train.record-00000-of-00002", names)
    write(tmp_path / "train.record-00001-of-00002", {**names, "image/source_id": [b"18"]})
    write(tmp_path / "val.record", {**names, "image/source_id": [b"19"]})
    (tmp_path / "map.pbtxt").write_text('item { id: 1 name: "cat" } item { id: 2 name: "dog" }')
    assert dataset_splits(tmp_path) == ("train", "val")
    data = load_dataset(tmp_path, "train", progress=False)
    assert repr(data).startswith("<TFRecord train: 2 images, 4 objects of 2 classes")
    assert (data.class_names, data[0].labels.tolist()) == (("cat", "dog"), [2, 1])
    one = load_dataset(write(tmp_path / "a.record", features()), progress=False)
    assert repr(one).startswith("<TFRecord: 1 images, 2 objects of 2 classes")
