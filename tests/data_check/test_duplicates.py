import shutil

from annotated_images import BOX, annotation, write_image

from multibox.data_check.images import duplicate_findings, inspect_images


def findings(**splits):
    """Of {split: annotations}: (kind, split, image id, message)."""
    items = [item for split, annotations in splits.items() for item in inspect_images(split, annotations)]
    return [(f.kind, f.split, f.image_id, f.message) for f in duplicate_findings(items)]


def test_different_images(tmp_path):
    a, b, c = (annotation(write_image(tmp_path / f"{i}.png", seed=i)) for i in range(3))
    assert findings(train=[a, b], val=[c]) == []


def test_a_file_listed_twice_in_a_split(tmp_path):
    a = annotation(write_image(tmp_path / "a.png"))
    assert findings(train=[a, a]) == [("listed-twice", "train", "a", "same image as a in train")]


def test_two_files_with_one_content(tmp_path):
    a = write_image(tmp_path / "a.png")
    b = shutil.copyfile(a, tmp_path / "b.png")
    assert findings(train=[annotation(a), annotation(b)]) == [
        ("identical-images", "train", "b", "same image as a in train")
    ]
    (finding,) = findings(train=[annotation(a), annotation(b, boxes=[BOX, BOX])])
    assert finding[3] == "same image as a in train, with other objects"


def test_an_image_in_two_splits(tmp_path):
    a = write_image(tmp_path / "a.png")
    b = shutil.copyfile(a, tmp_path / "b.png")
    for second in (annotation(a), annotation(b)):
        ((kind, split, name, message),) = findings(train=[annotation(a)], val=[second])
        assert (kind, split, message) == ("shared-image", "val", "same image as a in train")
        assert name == second.image_id


def test_a_missing_file_in_two_splits(tmp_path):
    a = annotation(tmp_path / "a.png")
    assert [f[0] for f in findings(train=[a], val=[a])] == ["shared-image"]


def test_one_name_for_different_images(tmp_path):
    a, b, c, d = (write_image(tmp_path / f"{i}.png", seed=i) for i in range(4))
    ((kind, split, name, message),) = findings(
        train=[annotation(a, image_id="x"), annotation(b, image_id="x")]
    )
    assert (kind, split, name, message) == ("repeated-id", "train", "x", f"also names {a}")
    assert findings(
        train=[annotation(a, image_id="x"), annotation(b, image_id="y")],
        val=[annotation(c, image_id="y"), annotation(d, image_id="x")],
    ) == [("same-id", "val", "y", "2 names of val stand for other images in train")]
