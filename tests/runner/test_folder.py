import subprocess

import pytest

from multibox.runner.folder import new_folder, versions


def test_an_earlier_run_is_moved_aside_and_never_deleted(tmp_path):
    folder = tmp_path / "run"
    assert new_folder(folder, force=False) is None and folder.is_dir()
    for number in (1, 2):
        (folder / "history.csv").write_text(str(number))
        with pytest.raises(FileExistsError, match="run exists already"):
            new_folder(folder, force=False)
        assert new_folder(folder, force=True) == tmp_path / f"run-old-{number}"
        assert not list(folder.iterdir())
        assert (tmp_path / f"run-old-{number}/history.csv").read_text() == str(number)


def test_an_empty_folder_is_taken(tmp_path):
    assert new_folder(tmp_path, force=False) is None


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(FileExistsError):
        new_folder(tmp_path / "run", force=False)


def test_the_state_of_the_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    found = versions()
    assert found["git"] is None
    assert {"multibox", "keras", "numpy", "python", "backend", "devices"} <= {*found}

    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], check=True)

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "first")
    assert not versions()["git"]["changed"] and len(versions()["git"]["commit"]) == 40
    (tmp_path / "new").write_text("")
    assert versions()["git"]["changed"]
