"""The page as text: what it says, and that nothing from a file becomes HTML."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from reported_errors import HOSTILE, data_with_errors

from multibox.data_generator import DetectionDataset
from multibox.report import save_report

HISTORY = "epoch,loss,learning_rate,val_loss\n0,4.5,0.001,5\n1,2.5,0.0001,NA\n"
NONE = np.zeros((0, 6))


class Tags(HTMLParser):
    """All tags of a page with their attributes, and whether each is closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def page(tmp_path, *arguments, **options):
    return save_report(*(arguments or data_with_errors()[::-1]), tmp_path, **options).read_text("utf-8")


def test_the_page_is_whole_and_loads_nothing(tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    text = page(tmp_path, history=tmp_path / "history.csv", settings={"model": "ssd7"})
    tags = Tags(text)
    assert tags.open == []
    sources = [a.get("src") or a.get("href") for tag, a in tags.tags if tag in ("img", "link", "script")]
    assert len(sources) == 7 + 2
    assert all(source is None or source.startswith("data:") for source in sources)
    assert all(attributes["alt"] for tag, attributes in tags.tags if tag == "img")
    ids = [a["id"] for _, a in tags.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in tags.tags if tag == "a"} <= set(ids)
    assert not re.search(r"https?://", text)


def test_the_numbers(tmp_path):
    (tmp_path / "history.csv").write_text(HISTORY)
    text = page(tmp_path, history=tmp_path / "history.csv", settings={"model": "ssd7"})
    flat = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert "mAP 16.8 mean over IoU 0.5 to 0.95; 0.0 to 50.5 AP50 16.8 at IoU 0.5;" in flat
    assert "FalseNeg all objects not found 33.17 3" in flat
    assert "cat 33.7 0 to 50 33.7 50.0 0.90 100.0 33.3 3 4" in flat
    assert "1 right, 0 under another class, 3 missed, 0 invented." in flat
    assert 'alt="Miss: dog not found, 40×40 pixels; image second"' in text  # noqa: RUF001
    assert "model ssd7" in flat
    assert "Classes with objects 2 of 2" in flat
    assert 'aria-label="loss: training ends at 2.5; validation ends at 5"' in text
    assert 'aria-label="learning_rate: training ends at 0.0001"' in text


def test_names_are_text(tmp_path):
    data, detections = data_with_errors(names=(HOSTILE, "{{ 7 * 7 }}"), ids=(HOSTILE, "</script><b>"))
    data = DetectionDataset(data.class_names, data.records, HOSTILE)
    text = page(tmp_path, detections, data, settings={HOSTILE: HOSTILE, "x": "\u202eevil"})
    clean = Tags(page(tmp_path / "clean", settings={"a": "b", "x": "y"}))
    hostile = Tags(text)
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in clean.tags]
    assert [set(a) for _, a in hostile.tags] == [set(a) for _, a in clean.tags]
    assert "{{ 7 * 7 }}" in text
    assert "\\u202eevil" in text
    assert "script-src &#39;sha256-" not in text
    assert "script-src 'sha256-" in text


def test_no_detections_and_no_objects(tmp_path):
    data, _ = data_with_errors()
    text = page(tmp_path, [NONE, NONE], data)
    assert "<strong>0.0</strong>" in text
    empty = data.subset(classes=["cat"])[:1]
    empty = DetectionDataset(
        ["a"], [type(empty[0])("e", empty[0].image, 100, 80, NONE[:, :4], NONE[:, 0].astype("i4"))]
    )
    text = page(tmp_path / "empty", [NONE], empty)
    assert Tags(text).open == []
    assert "There is no picture to show." in text
    assert '<p class="note">evaluate_coco: mAP is NaN: none of the 1 images has an object' in text
    assert re.findall(r"\bnan\b", text) == []


def test_an_earlier_page_is_kept(tmp_path):
    page(tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    with pytest.raises(FileExistsError, match=r"report\.html exists already"):
        page(tmp_path)
    page(tmp_path, settings={"new": 1}, overwrite=True)
    assert (tmp_path / "report.html").read_bytes() != before


def test_an_interrupt_leaves_nothing_half_written(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    page(tmp_path)
    before = (tmp_path / "report.html").read_bytes()
    for place in ("worst_cases", "render"):
        monkeypatch.setattr(f"multibox.report.page.{place}", interrupted)
        with pytest.raises(KeyboardInterrupt):
            page(tmp_path, overwrite=True)
        monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert (tmp_path / "report.html").read_bytes() == before


def test_bad_input(tmp_path):
    data, detections = data_with_errors()
    with pytest.raises(TypeError, match="are the arguments swapped"):
        save_report(data, detections, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        save_report(detections, data, tmp_path, history=tmp_path / "none.csv")
    with pytest.raises(ValueError, match="save_report: second: expected an array"):
        save_report([NONE, NONE[:, :5]], data, tmp_path)
    assert list(tmp_path.iterdir()) == []
