import pytest

from multibox.data_generator.formats.voc_sets import ImageSets


@pytest.fixture
def root(tmp_path):
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "Annotations/sub").mkdir(parents=True)
    for name in ("a", "b", "my image", "x 1", "sub/c", "v1.5"):
        (tmp_path / f"Annotations/{name}.xml").touch()
    return tmp_path


def images(root, text, **options):
    (root / "ImageSets/Main/s.txt").write_text(text, **options)
    return ImageSets(root).images("s")


@pytest.mark.parametrize(
    ("line", "image_id"),
    [
        ("a", "a"),
        ("a.jpg", "a"),
        ("JPEGImages/a.JPG", "a"),
        ("./JPEGImages/sub/c.png", "sub/c"),
        ("a  1", "a"),
        ("a.jpg 0", "a"),
        ("my image", "my image"),
        ("my image.jpg 1", "my image"),
        ("x 1", "x 1"),
        ('"my image"', "my image"),
        ("v1.5", "v1.5"),
        ("missing.jpg", "missing.jpg"),
    ],
)
def test_the_image_id_of_a_line(root, line, image_id):
    assert images(root, f"\n{line} \n") == [image_id]


def test_images_without_the_class_are_left_out(root):
    assert images(root, "a -1\nb  1\nmy image -1\n") == ["b"]


@pytest.mark.parametrize("text", ["", "\n \n", "a -1\n"])
def test_a_set_without_images(root, text):
    with pytest.raises(ValueError, match=r"s\.txt: lists no images"):
        images(root, text)


def test_a_set_in_another_encoding(root):
    with pytest.raises(ValueError, match=r"s\.txt: expected a text file in UTF-8"):
        images(root, "é", encoding="latin-1")


def test_the_default_sets_do_not_overlap_by_design(root):
    sets = {
        "train": "a\n",
        "val": "b\n",
        "trainval": "a\nb\n",
        "test": "my image\n",
        "cat_train": "a  1\n",
        "leak": "a\n",
    }
    for name, text in sets.items():
        (root / f"ImageSets/Main/{name}.txt").write_text(text)
    assert ImageSets(root).names() == ["cat_train", "leak", "test", "train", "trainval", "val"]
    # A copy of another set is a mistake that the check must see.
    assert ImageSets(root).default() == ["leak", "test", "train", "val"]
