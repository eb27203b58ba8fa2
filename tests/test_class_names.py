import json

import pytest

from multibox.class_names import (
    COCO_CATEGORY_IDS,
    COCO_CLASSES,
    COCO_NAMES_BY_ID,
    VOC_TO_COCO,
    map_names,
    same_class,
    similar_names,
)
from multibox.data_generator import VOC_CLASSES


def test_coco_has_80_classes_and_90_ids():
    assert len(COCO_CLASSES) == len(set(COCO_CLASSES)) == len(COCO_CATEGORY_IDS) == 80
    assert len(COCO_NAMES_BY_ID) == 91
    unused = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert set(range(1, 91)) - set(COCO_CATEGORY_IDS) == unused
    assert {i for i, name in enumerate(COCO_NAMES_BY_ID) if name is None} == unused | {0}
    assert [COCO_NAMES_BY_ID[i] for i in COCO_CATEGORY_IDS] == list(COCO_CLASSES)


def test_the_names_are_those_of_a_published_model(golden):
    labels = json.loads((golden / "ssd_mobilenet_v1_coco" / "labels.json").read_text())
    theirs = [None if name == labels["unused"] else name for name in labels["names"]]
    assert list(COCO_NAMES_BY_ID) == theirs
    assert list(VOC_CLASSES) == labels["voc_names"]
    to_voc = map_names(labels["coco_to_voc_names"], VOC_CLASSES)
    assert to_voc == labels["coco_to_voc_names"]
    columns = [COCO_NAMES_BY_ID.index(map_names([name], COCO_NAMES_BY_ID)[name]) for name in VOC_CLASSES]
    assert columns == labels["voc_index_to_column"]


def test_voc_in_coco_and_back():
    assert map_names(VOC_CLASSES, COCO_CLASSES) == {name: VOC_TO_COCO.get(name, name) for name in VOC_CLASSES}
    there = map_names(COCO_CLASSES, VOC_CLASSES)
    assert sum(name is not None for name in there.values()) == 20
    assert there["tv"] == "tvmonitor" and there["couch"] == "sofa" and there["truck"] is None


@pytest.mark.parametrize(
    ("name", "other", "same"),
    [
        ("tv", "tvmonitor", True),
        ("Potted_Plant", "pottedplant", True),
        ("hot-dog", "Hot Dog", True),
        ("dog", "hot dog", False),
        ("cat", "car", False),
    ],
)
def test_same_class(name, other, same):
    assert same_class(name, other) is same_class(other, name) is same


def test_the_very_name_goes_before_a_synonym():
    known = ("tv", "tvmonitor", None)
    assert map_names(["tvmonitor", "tv", "cat"], known) == {"tvmonitor": "tvmonitor", "tv": "tv", "cat": None}
    with pytest.raises(ValueError, match="'TV' could be any of 'tv', 'tvmonitor'"):
        map_names(["TV"], known)


def test_similar_names():
    names = ["dog", "cat", "Dog", "hot dog", "dog", "hot-dog", "HOTDOG", "dogs"]
    assert similar_names(names) == [("dog", "Dog"), ("hot dog", "hot-dog", "HOTDOG")]
    assert similar_names(["cat", "cat"]) == []
