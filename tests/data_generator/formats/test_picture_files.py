import pytest

from multibox.data_generator.formats.picture_files import PictureFiles, by_split


@pytest.fixture
def pictures(tmp_path):
    for name in ("a.Jpg", "sub/b.png", "sub/c.jpg", "d/c.jpg", "x.y.jpg", ".hidden/z.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return PictureFiles(tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "by_name"),
    [
        ("a.Jpg", "a.Jpg", 0),
        ("a.jpg", "a.Jpg", 0),
        ("a", "a.Jpg", 0),
        ("a.png", "a.Jpg", 0),
        ("x.y", "x.y.jpg", 0),
        ("./sub/c", "sub/c.jpg", 0),
        (r"sub\c.jpg", "sub/c.jpg", 0),
        ("b.png", "sub/b.png", 1),
        (r"C:\Users\me\b.PNG", "sub/b.png", 1),
        ("/data/set/x.y.jpg", "x.y.jpg", 1),
        ("../../a", "a.Jpg", 1),
    ],
)
def test_a_picture_is_found_by_the_names_that_tools_write(pictures, name, file, by_name):
    assert pictures.find(name, "a.xml") == pictures.folder / file
    assert pictures.counts["by file name"] == by_name


@pytest.mark.parametrize("name", ["A", "z.jpg", "sub", "x"])
def test_other_names_find_nothing(pictures, name):
    with pytest.raises(FileNotFoundError, match=r"^a\.xml: no image"):
        pictures.find(name, "a.xml")


def test_a_file_name_that_several_pictures_have_is_refused(pictures):
    with pytest.raises(ValueError, match=r"2 pictures there have this file name: d/c\.jpg, sub/c\.jpg"):
        pictures.find("c.jpg", "a.xml")


@pytest.mark.parametrize("name", ["", "a\0.jpg", "/"])
def test_an_empty_name_is_refused(pictures, name):
    with pytest.raises(ValueError, match="expected the name of an image"):
        pictures.find(name, "a.xml")


@pytest.mark.parametrize(
    ("annotation", "name", "file"),
    [
        ("sub/c.xml", "c.jpg", "sub/c.jpg"),  # its own folder first
        ("d/c.xml", None, "d/c.jpg"),
        ("labels/d/c.xml", "c.jpg", "d/c.jpg"),  # the folder that is most like its own
        ("sub/x.xml", "../a.jpg", "a.Jpg"),
        ("labels/b.xml", "unknown.jpg", "sub/b.png"),  # then by the name of the annotation
    ],
)
def test_the_picture_of_an_annotation_file(pictures, annotation, name, file):
    assert pictures.find_for(pictures.folder / annotation, name) == pictures.folder / file


def test_two_annotation_files_about_one_picture(pictures):
    pictures.find_for(pictures.folder / "a.xml", "a.jpg")
    pictures.find_for(pictures.folder / "a.xml", "a.jpg")
    with pytest.raises(ValueError, match=r"q\.xml: names the image .*a\.Jpg, but .*a\.xml does so too"):
        pictures.find_for(pictures.folder / "q.xml", "a.jpg")


def test_an_annotation_file_without_picture(pictures):
    with pytest.raises(FileNotFoundError, match=r"q\.xml: no image 'z\.jpg' or 'q' in "):
        pictures.find_for(pictures.folder / "q.xml", "z.jpg")


def test_pictures_without_annotation_are_counted(pictures):
    pictures.find_for(pictures.folder / "a.xml", None)
    with pytest.warns(UserWarning, match=r"4 pictures have no XML file and are left out, first d/c\.jpg"):
        pictures.warn_without_annotation("XML file")


def test_files_are_grouped_by_split(tmp_path):
    files = [tmp_path / name for name in ("train/a.xml", "labels/Test/b.xml", "train/val/c.xml")]
    assert by_split(tmp_path, files) == {"train": [files[0], files[2]], "Test": [files[1]]}
    files.append(tmp_path / "d.xml")
    assert by_split(tmp_path, files) == {"all": files}


def test_a_name_is_first_relative_to_the_folder_of_the_annotation(tmp_path):
    for name in ("a.jpg", "sub/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    pictures = PictureFiles(tmp_path)
    assert pictures.find_for(tmp_path / "sub/a.xml", "a.jpg") == tmp_path / "sub/a.jpg"
    assert pictures.find_for(tmp_path / "a.xml", "a.jpg") == tmp_path / "a.jpg"
