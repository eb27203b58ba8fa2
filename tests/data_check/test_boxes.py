import tracemalloc

import numpy as np
import pytest
from annotated_images import BOX, annotation, write_image

from multibox.anchors import SSD300_VOC
from multibox.boxes import iou
from multibox.data_check.boxes import box_findings, relative_findings, size_findings
from multibox.data_check.inspection import CheckedImage, inspect_image
from multibox.data_check.objects import collect_objects


@pytest.fixture
def check(tmp_path):
    """Findings about boxes in an image of 60 x 40: (kind, object)."""
    path = write_image(tmp_path / "a.png")

    def run(*boxes, **fields):
        item = CheckedImage("train", annotation(path, boxes, **fields), inspect_image(path))
        return box_findings(item)

    return run


def kinds(findings):
    return [(f.kind, f.detail["object"]) for f in findings]


def test_good_boxes(check):
    assert check(BOX, (0, 0, 60, 40), (0, 0, 2, 2)) == []


@pytest.mark.parametrize(
    ("box", "kind"),
    [
        ((40, 5, 10, 35), "inverted-box"),
        ((10, 35, 40, 5), "inverted-box"),
        ((10, 5, 10, 35), "flat-box"),
        ((10, 5, 40, 5), "flat-box"),
        ((60, 5, 70, 35), "outside-box"),
        ((-9, 5, 0, 35), "outside-box"),
        ((10, 5, 70, 35), "partly-outside-box"),
        ((10, 5, 60.5, 35), "edge-rounding"),
        ((-1, 5, 40, 35), "edge-rounding"),
        ((10, 5, 11, 35), "speck-box"),
    ],
)
def test_one_bad_box(check, box, kind):
    (finding,) = check(BOX, box)
    assert (finding.kind, finding.detail["object"], finding.detail["name"]) == (kind, 1, "dog")
    assert finding.detail["boxes"] == [list(map(float, box))]
    assert (finding.split, finding.image_id, finding.file[-9:]) == ("train", "a", "a.png.xml")


def test_how_far_a_box_reaches_outside(check):
    (finding,) = check((-3, 5, 72.5, 35))
    assert finding.detail["pixels"] == 12.5
    assert finding.message == "dog [-3, 5, 72.5, 35] extends 12.5 px beyond the image of 60x40"


def test_rounding_of_relative_boxes_is_no_finding(check):
    assert check((0, 0, 1.0001, 1), size=None, relative=True) == []
    assert kinds(check((0, 0, 1.2, 1), size=None, relative=True)) == [("partly-outside-box", 0)]


def test_duplicates_are_of_one_class_and_nearly_equal(check):
    near, far = (10, 5, 40, 32), (10, 5, 40, 31)  # IoU 27/30 and 26/30 with BOX
    (finding,) = check(BOX, near)
    assert (finding.kind, finding.detail["object"], finding.detail["repeats"]) == ("duplicate-box", 1, 0)
    assert finding.detail["iou"] == pytest.approx(0.9)
    assert finding.message == "dog [10, 5, 40, 32] duplicates object 0 (IoU 0.90)"
    assert finding.detail["boxes"] == [list(near), list(BOX)]
    assert check(BOX, far) == []
    assert check(BOX, BOX, names=("dog", "cat")) == []
    assert check(BOX, BOX, crowd=(False, True)) == []
    assert kinds(check(BOX, BOX, BOX)) == [("duplicate-box", 1), ("duplicate-box", 2)]


def test_duplicates_are_those_of_all_pairs(check):
    """Against the plain rule: a box of the same class with an IoU of 0.9; the first one is named."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 30, (12, 2))
    boxes = np.repeat(np.concatenate([low, low + rng.uniform(3, 10, (12, 2))], axis=1), 6, axis=0)
    boxes[24:] += rng.uniform(0, 0.4, (48, 4))
    boxes = boxes[rng.permutation(72)]
    names = rng.choice(["cat", "dog"], 72)
    alike = np.tril((iou(boxes, boxes) >= 0.9) & (names[:, None] == names), -1)
    expected = [(int(i), int(alike[i].argmax())) for i in np.flatnonzero(alike.any(axis=1))]
    found = check(*boxes, names=names.tolist())
    assert [(f.detail["object"], f.detail["repeats"]) for f in found] == expected
    assert len(expected) > 30


def test_twenty_thousand_boxes_in_one_image(check):
    """All pairs at once would need gigabytes. A third is unlike, a third nearly alike, a third alike."""
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 30, (20_000, 2))
    boxes = np.concatenate([low, low + rng.uniform(2, 8, (20_000, 2))], axis=1)
    boxes[:7000] = BOX
    boxes[7000:8000] = np.array(BOX) + rng.uniform(0, 0.2, (1000, 4))
    tracemalloc.start()
    found = check(*boxes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(f.detail["repeats"] == 0 for f in found[:7999]) and len(found) > 7999
    assert peak < 400e6


def test_boxes_are_not_judged_by_a_size_that_is_wrong(check):
    assert check((10, 5, 300, 35), size=(30, 30)) == []


def test_small_and_tiny_boxes_are_summed_up(tmp_path):
    items = []
    for split, boxes in (
        ("train", [(0, 0, 6, 4), (0, 0, 6, 3.9), BOX, (0, 0, 0.3, 40)]),  # 1 % is 24 square pixels
        ("val", [BOX]),
    ):
        path = write_image(tmp_path / f"{split}.png")
        items.append(CheckedImage(split, annotation(path, boxes), inspect_image(path)))
    objects = collect_objects(items)
    small, tiny = size_findings(objects, SSD300_VOC)  # 0.3 of 60 pixels are 1.5 of 300
    assert (small.kind, small.split, small.count, small.detail["share"]) == ("small-boxes", "train", 2, 0.5)
    assert (tiny.kind, tiny.split, tiny.count) == ("tiny-boxes", "train", 1)
    np.testing.assert_allclose(tiny.detail["boxes"], [[0, 0, 0.3, 40]], rtol=1e-6)
    assert [f.kind for f in size_findings(objects, None)] == ["small-boxes"]


def test_objects_that_are_trained_on(tmp_path):
    path = write_image(tmp_path / "a.png")
    boxes = [(40, 5, 10, 35), BOX, (50, 5, 70, 35), BOX]
    item = CheckedImage(
        "train", annotation(path, boxes, crowd=(False, False, False, True)), inspect_image(path)
    )
    objects = collect_objects([item, item])
    assert objects.image.tolist() == [0, 0, 1, 1]
    assert objects.index.tolist() == [1, 2, 1, 2]
    np.testing.assert_array_equal(objects.boxes, [BOX, (50, 5, 60, 35)] * 2)
    assert [objects.image[one].tolist() for one in objects.per_image()] == [[0, 0], [1, 1]]


def test_boxes_that_look_relative(tmp_path):
    path = write_image(tmp_path / "a.png")
    relative = [(0.1, 0.2, 0.5, 0.6)] * 3

    def item(split, boxes, **fields):
        return CheckedImage(split, annotation(path, boxes, **fields), inspect_image(path))

    items = [item("train", relative), item("train", []), item("train", relative)]
    (finding,) = relative_findings(
        [*items, item("val", [BOX] * 5), item("yolo", relative * 2, relative=True)]
    )
    assert (finding.kind, finding.split, finding.count) == ("relative-boxes", "train", 6)
    assert finding.message == "all 6 boxes lie within 0..1, first [0.1, 0.2, 0.5, 0.6]"
    assert relative_findings([*items, item("train", [BOX])]) == []
