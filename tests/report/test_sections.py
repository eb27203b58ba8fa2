import numpy as np
from reported_errors import data_with_errors

from multibox.eval_utils import confusion_matrix
from multibox.report import sections
from multibox.report.sections import confusion_table, training_charts


def test_the_confusion_table():
    data, detections = data_with_errors()
    table = confusion_table(confusion_matrix(detections, data, min_score=0.85))
    assert (table["right"], table["confused"], table["missed"], table["invented"]) == (1, 1, 2, 0)
    assert table["largest"] == [("cat", "dog", 1)]
    assert table["columns"] == ["cat", "dog", "missed"]
    name, cells = table["rows"][0]
    assert (name, cells) == ("cat", [(1, 1 / 3, True), (1, 1 / 3, False), (1, 1 / 3, False)])
    assert table["rows"][2] == ("invented", [(0, 0.0, False), (0, 0.0, False), (0, 0.0, True)])


def test_rare_classes_are_left_out_of_a_large_table(monkeypatch):
    monkeypatch.setattr(sections, "MAX_CELLS", 1)
    data, detections = data_with_errors()
    table = confusion_table(confusion_matrix(detections, data))
    assert table["columns"] == ["cat", "missed"]
    assert [name for name, _ in table["rows"]] == ["cat", "invented"]
    assert table["hidden"] == 1


def test_training_charts(tmp_path):
    path = tmp_path / "history.csv"
    path.write_text("epoch,loss,val_loss,val_map\n0,2,3,NA\n1,1,NA,0.25\n")
    loss, value = training_charts(path)
    assert (loss.title, [line.name for line in loss.lines]) == ("loss", ["training", "validation"])
    assert loss.summary == "training ends at 1; validation ends at 3"
    assert (value.title, [line.name for line in value.lines]) == ("map", ["validation"])
    assert [text for _, text in loss.x_ticks] == ["1", "2"]
    assert np.all([place >= loss.box[0] for place, _ in loss.x_ticks])
