"""The training summary: what it says about a run whose log is known."""

import matplotlib
import pytest

import multibox as mb
from multibox.runner.config import RunConfig
from multibox.runner.folder import CONFIG

matplotlib.use("Agg")

LOG = """\
epoch,loss,learning_rate,val_loss,val_map,val_map50,val_map/cat,val_map/big|dog
0,3.5,0.001,3.0,0.1,0.2,0.2,0.0
1,2.5,0.001,2.0,nan,nan,nan,nan
2,1.5,0.0001,1.0,0.5,0.7,0.6,0.4
3,1.25,0.0001,1.5,0.4,0.6,0.4,0.4
"""


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "my_run"
    folder.mkdir()
    (folder / CONFIG).write_text(RunConfig(data="my_data", epochs=4).to_yaml())
    (folder / "history.csv").write_text(LOG)
    return folder


def test_the_page(run):
    page = mb.save_summary(run)
    assert page == run / "summary.md"
    text = page.read_text()
    assert text.startswith(
        "# Training summary: my\\_run\n\n## Settings\n\n| setting | value |\n| --- | ---: |\n"
    )
    assert "| data | my\\_data |\n" in text
    assert "![Losses, mAP and learning rate of each epoch](summary.png)" in text
    assert "4 epochs, loss 1.25 at the end, val_loss 1.5 at the end." in text
    assert "Learning rate: 0.001 from epoch 1, 0.0001 from epoch 3." in text
    table = text[text.index("| class") :].splitlines()
    assert table == [
        "| class | epoch 1 | epoch 3 (best) | epoch 4 |",
        "| --- | ---: | ---: | ---: |",
        "| cat | 0.200 | 0.600 | 0.400 |",
        "| big\\|dog | 0.000 | 0.400 | 0.400 |",
        "| mAP | 0.100 | 0.500 | 0.400 |",
        "| mAP at IoU 0.5 | 0.200 | 0.700 | 0.600 |",
    ]
    assert (run / "summary.png").read_bytes().startswith(b"\x89PNG")


def test_a_long_run_has_eight_epochs_and_the_best(run):
    rows = [f"{i},1.0,{0.9**i},{0.5 if i == 13 else i / 1000},0" for i in range(100)]
    (run / "history.csv").write_text("\n".join(["epoch,loss,learning_rate,val_map,val_map50", *rows, ""]))
    text = mb.save_summary(run).read_text()
    (head,) = [line for line in text.splitlines() if line.startswith("| class")]
    assert head.count("epoch") == 9 and "epoch 14 (best)" in head and head.endswith("epoch 100 |")
    assert "Learning rate: 1 in the first epoch, 2.95e-05 in the last." in text


def test_a_run_without_map(run):
    (run / "history.csv").write_text("epoch,loss\n0,1.5\n")
    text = mb.save_summary(run).read_text()
    assert text.rstrip().endswith("The run has measured no mAP.")
    assert "Learning rate" not in text


def test_an_earlier_summary_is_kept(run, tmp_path):
    page = mb.save_summary(run)
    before = page.read_text()
    (run / "history.csv").write_text("epoch,loss\n0,1.5\n")
    with pytest.raises(FileExistsError, match=r"summary\.md"):
        mb.save_summary(run)
    assert page.read_text() == before
    assert mb.save_summary(run, tmp_path / "new").parent == tmp_path / "new"
    assert mb.save_summary(run, overwrite=True).read_text() != before


def test_what_is_no_run(run, tmp_path):
    (run / "history.csv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"history\.csv: no such file; .* or has not finished an epoch"
    ):
        mb.save_summary(run)
    assert not (run / "summary.md").exists()


def test_a_log_without_map50(run):
    """Any callback may have put `val_map` into the log."""
    (run / "history.csv").write_text("epoch,loss,val_map\n0,3,0.25\n")
    assert (
        mb.save_summary(run)
        .read_text()
        .endswith("| class | epoch 1 (best) |\n| --- | ---: |\n| mAP | 0.250 |\n")
    )


def test_a_log_without_numbers(run):
    (run / "history.csv").write_text("epoch,loss,val_map/cat\n0,NA,0.5\n")
    with pytest.raises(ValueError, match=r"history\.csv: the log has no number to draw"):
        mb.save_summary(run)
    assert sorted(path.name for path in run.iterdir()) == [CONFIG, "history.csv"]
