import pytest

from multibox.data_generator import DetectionDataset, load_shapes


def test_length_indexing_slices_and_repr():
    dataset = load_shapes(5)
    assert len(dataset) == 5
    assert dataset[-1].image_id == "shapes-0-4"
    part = dataset[1:3]
    assert isinstance(part, DetectionDataset)
    assert [r.image_id for r in part] == ["shapes-0-1", "shapes-0-2"]
    objects = sum(len(r.labels) for r in part)
    assert repr(part) == f"<shapes: 2 images, {objects} objects of 4 classes>"


@pytest.mark.parametrize(("names", "message"), [((), "at least one class"), (("a", "a"), "must be unique")])
def test_impossible_class_names(names, message):
    with pytest.raises(ValueError, match=message):
        DetectionDataset(names, [])
