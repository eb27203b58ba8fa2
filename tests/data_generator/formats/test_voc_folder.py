"""XML files beside pictures, in the forms that labeling tools leave."""

import os

import numpy as np
import pytest
from annotated_images import write_image

from multibox.data_generator import load_voc
from multibox.data_generator.formats.voc import scan_voc

OBJECT = (
    "<object><name>{}</name>"
    "<bndbox><xmin>11</xmin><ymin>6</ymin><xmax>30</xmax><ymax>25</ymax></bndbox></object>"
)

CVAT = """<annotation>
  <folder></folder>
  <filename>a.jpg</filename>
  <source><database>Unknown</database><annotation>Unknown</annotation><image>Unknown</image></source>
  <segmented>0</segmented>
  <object>
    <name>cat</name>
    <truncated>0</truncated>
    <occluded>1</occluded>
    <difficult>1</difficult>
    <bndbox><xmin>11.25</xmin><ymin>6.0</ymin><xmax>30.5</xmax><ymax>25.75</ymax></bndbox>
    <attributes><attribute><name>rotation</name><value>0.0</value></attribute></attributes>
  </object>
</annotation>
"""

LABEL_STUDIO = """<?xml version="1.0" encoding="utf-8"?>
<annotation>
<folder>images</folder>
<filename>a</filename>
<source>
<database>MyDatabase</database>
<annotation>COCO2017</annotation>
<image>flickr</image>
<flickrid>NULL</flickrid>
<annotator>1</annotator>
</source>
<owner>
<flickrid>NULL</flickrid>
<name>Label Studio</name>
</owner>
<size>
<width>0</width>
<height>0</height>
<depth>3</depth>
</size>
<segmented>0</segmented>
<object>
<name>cat</name>
<pose>Unspecified</pose>
<truncated>Unspecified</truncated>
<bndbox>
<xmin>11</xmin>
<ymin>6</ymin>
<xmax>30</xmax>
<ymax>25</ymax>
</bndbox>
</object>
</annotation>
"""


def write_xml(path, filename="", name="cat"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><filename>{filename}</filename>{OBJECT.format(name)}</annotation>")
    return path


def load(folder, *arguments):
    return load_voc(folder, *arguments, progress=False)


def test_xml_files_beside_pictures_and_in_folders(tmp_path):
    for i, name in enumerate(("a.Jpg", "pictures/b.png", "pictures/deep/c.jpg")):
        write_image(tmp_path / "x.jpg", seed=i).rename(
            (tmp_path / "pictures/deep").mkdir(parents=True, exist_ok=True) or tmp_path / name
        )
    write_xml(tmp_path / "a.xml", r"C:\Users\me\a.jpg")
    write_xml(tmp_path / "labels/b.xml", "b", "dog")
    write_xml(tmp_path / "labels/deep/c.xml")
    dataset = load(tmp_path)
    assert dataset.class_names == ("cat", "dog")
    assert [r.image_id for r in dataset] == ["a", "labels/b", "labels/deep/c"]
    assert [os.path.relpath(r.image, tmp_path) for r in dataset] == [
        "a.Jpg",
        "pictures/b.png",
        "pictures/deep/c.jpg",
    ]
    np.testing.assert_array_equal(dataset[1].boxes, [[10, 5, 30, 25]])


def test_pictures_without_an_xml_file_are_left_out_and_counted(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / "b.jpg")
    write_xml(tmp_path / "a.xml", "a.jpg")
    with pytest.warns(UserWarning, match=r"1 pictures have no XML file and are left out, first b\.jpg"):
        assert len(load(tmp_path)) == 1


def test_an_xml_file_without_picture(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml")
    write_xml(tmp_path / "b.xml", "c.jpg")
    errors = []
    assert len(list(scan_voc(tmp_path, on_error=errors.append, progress=False))) == 1
    assert "b.xml: no image 'c.jpg' or 'b' in" in str(errors[0])


def test_folders_without_xml_files_or_objects(tmp_path):
    with pytest.raises(FileNotFoundError, match="no XML files in"):
        load(tmp_path)
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_text("<annotation/>")
    with pytest.raises(ValueError, match=r"no object has a class.* pass `classes`"):
        load(tmp_path)


def test_a_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    write_image(tmp_path / "data/a.jpg")
    write_xml(tmp_path / "data/a.xml")
    monkeypatch.chdir(tmp_path)
    dataset = load("data")
    assert dataset[0].image == str(tmp_path / "data/a.jpg")


def test_cvat(tmp_path):
    """As CVAT's export: a set `default`, no size, fractions, attributes."""
    write_image(tmp_path / "JPEGImages/a.jpg")
    write_image(tmp_path / "JPEGImages/b c.jpg")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text(CVAT)
    (tmp_path / "Annotations/b c.xml").write_text(CVAT.replace("a.jpg", "b c.jpg"))
    (tmp_path / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "ImageSets/Main/default.txt").write_text('a\n"b c"\n')
    for dataset in (load(tmp_path, "default"), load(tmp_path)):
        assert len(dataset) == 2
        assert (dataset[0].width, dataset[0].height) == (60, 40)
        np.testing.assert_array_equal(dataset[0].boxes, [[10.25, 5, 30.5, 25.75]])
        assert dataset[0].difficult.all()


def test_label_studio(tmp_path):
    """As Label Studio's export: the name without suffix, an unknown size, no `difficult`."""
    write_image(tmp_path / "images/a.jpg")
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations/a.xml").write_text(LABEL_STUDIO)
    record = load(tmp_path)[0]
    assert (record.image_id, record.width, record.height) == ("Annotations/a", 60, 40)
    assert not record.truncated.any()
    assert not record.difficult.any()
    np.testing.assert_array_equal(record.boxes, [[10, 5, 30, 25]])


def test_a_real_folder(shared_data):
    folder = shared_data / "raccoon"
    assert repr(load(folder)) == "<VOC raccoon: 200 images, 217 objects of 1 classes (59 truncated)>"
