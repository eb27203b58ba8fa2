"""Data sets of Hugging Face, by a stand-in with the same interface, and by the library if it is installed."""

import pickle

import numpy as np
import pytest
from PIL import Image
from reader_files import NESTINGS, PIXELS, png, row
from reader_files import huggingface_rows as rows

from multibox.data_generator.formats.huggingface import load_huggingface
from multibox.data_generator.images import read_image


def load(dataset, *args, **options):
    return load_huggingface(dataset, *args, progress=False, **options)


@pytest.mark.parametrize("nesting", NESTINGS)
def test_fields(nesting):
    dataset = load(rows(row(image_id=7), row(), objects=nesting))
    assert dataset.class_names == ("Coverall", "Mask")
    first, second = dataset
    assert (first.image_id, first.width, first.height, second.image_id) == ("7", 60, 40, "1")
    assert first.boxes.tolist() == [[10, 5, 30, 35], [0, 0, 60, 40]]
    assert first.labels.tolist() == [2, 1]
    copy = pickle.loads(pickle.dumps(first.image))
    assert isinstance(copy(), bytes)  # not decoded by the library
    np.testing.assert_array_equal(read_image(copy), PIXELS)


def test_objects_as_a_list_with_names_and_flags():
    one = {"bbox": [10, 5, 20, 30], "label": "dog", "iscrowd": 1, "difficult": False}
    empty = row(objects=[], image_id="b")
    dataset = load(rows(row(objects=[one, {**one, "label": "cat", "iscrowd": 0}]), empty, objects=None))
    assert dataset.class_names == ("cat", "dog")
    assert dataset[0].labels.tolist() == [2, 1] and dataset[0].crowd.tolist() == [True, False]
    assert dataset[1].boxes.shape == (0, 4)


def test_pictures_that_are_decoded_already():
    plain = [{**row(), "picture": Image.fromarray(PIXELS)}]
    dataset = load(plain, ["a", "b"], image="picture")
    np.testing.assert_array_equal(read_image(dataset[0].image), PIXELS)
    assert dataset[0].labels.tolist() == [2, 1]


def test_pictures_as_files(tmp_path):
    (tmp_path / "a.png").write_bytes(png()["bytes"])
    dataset = load([row(image={"bytes": None, "path": str(tmp_path / "a.png")})], ["a", "b"])
    np.testing.assert_array_equal(read_image(dataset[0].image), PIXELS)


def test_corners():
    boxes = [[40, 20, 55, 35], [30, 5, 50, 38]]
    objects = {"bbox": boxes, "category": [0, 0]}
    with pytest.raises(ValueError, match=r"2 of 2 boxes reach outside .* pass box_format='xyxy'"):
        load(rows(row(objects=objects)))
    assert load(rows(row(objects=objects)), box_format="xyxy")[0].boxes.tolist() == boxes


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (
            {"bbox": [[1, 2, 3]], "category": [0]},
            r"row 0: each box must be four numbers below 1e6, got \[\[1",
        ),
        ({"bbox": [["a", 2, 3, 4]], "category": [0]}, "row 0: each box must be four numbers"),
        ({"bbox": [[1, 2, 3, 4]], "category": []}, "row 0: 1 boxes, but 0 classes"),
        ({"bbox": [[1, 2, 3, 4]], "category": [2]}, r"row 0: the class must be in 0\.\.1, got 2"),
        ({"bbox": [[1, 2, 3, 4]], "kind": [2]}, "row 0: objects have no category or .* they have bbox, kind"),
        ({"bbox": [[1, 2, 3, 4]], "category": [0], "iscrowd": []}, "1 boxes, but 0 values of iscrowd"),
    ],
)
def test_bad_rows(objects, message):
    with pytest.raises(ValueError, match=message):
        load(rows(row(objects=objects)))


def test_what_is_no_split():
    with pytest.raises(TypeError, match=r"expected one split, got 'train', 'test'; .* dataset\['train'\]"):
        load({"train": rows(), "test": rows()})
    with pytest.raises(TypeError, match=r"got generator; load it without streaming"):
        load(row for _ in ())
    with pytest.raises(ValueError, match=r"no column 'picture'; there are image, objects\. Pass image="):
        load(rows(row()), image="picture")
    with pytest.raises(ValueError, match=r"row 0: the class 1 is a number, .* pass `classes`"):
        load([row()])


def test_the_library(tmp_path):
    datasets = pytest.importorskip("datasets")
    table = pytest.importorskip("pyarrow").table
    (tmp_path / "a.png").write_bytes(png()["bytes"])
    lists = getattr(datasets, "List", datasets.Sequence)
    objects = {
        "bbox": lists(lists(datasets.Value("float32"), length=4)),
        "category": lists(datasets.ClassLabel(names=["Coverall", "Mask"])),
    }
    features = datasets.Features({"image": datasets.Image(), "objects": objects})
    columns = {
        "image": [{"bytes": None, "path": str(tmp_path / "a.png")}, png()],
        "objects": [{"bbox": [[10, 5, 20, 30]], "category": [1]}, {"bbox": [], "category": []}],
    }
    content = datasets.table.InMemoryTable(table(columns).cast(features.arrow_schema))
    # With a fingerprint the library does not pickle the table to compute one, which fails in some versions.
    made = datasets.Dataset(content, info=datasets.DatasetInfo(features=features), fingerprint="x")
    dataset = load(made)
    assert dataset.class_names == ("Coverall", "Mask")
    assert dataset[0].boxes.tolist() == [[10, 5, 30, 35]] and dataset[0].labels.tolist() == [2]
    for record in dataset:
        np.testing.assert_array_equal(read_image(pickle.loads(pickle.dumps(record.image))), PIXELS)
