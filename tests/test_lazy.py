import sys
import types

import pytest

from multibox.lazy import lazy_names


@pytest.fixture
def package(monkeypatch, tmp_path):
    """A package `tiny` with the modules `one` and `two`, which note that they are imported."""
    (tmp_path / "tiny/two").mkdir(parents=True)
    (tmp_path / "tiny/one.py").write_text("first, second = 1, 2\n")
    (tmp_path / "tiny/two/__init__.py").write_text("from nowhere_at_all import third\n")
    (tmp_path / "tiny/three.py").write_text("")
    module = types.ModuleType("tiny")
    module.__path__ = [str(tmp_path / "tiny")]
    module.__getattr__, module.__dir__ = lazy_names(
        "tiny", {"one": "first second", "two.deep": "third"}, submodules=["three"], former={"old": "first"}
    )
    monkeypatch.setitem(sys.modules, "tiny", module)
    yield module
    for name in [name for name in sys.modules if name.startswith("tiny.")]:
        del sys.modules[name]


def test_a_name_is_imported_at_its_first_use(package):
    assert "tiny.one" not in sys.modules
    assert package.second == 2
    assert vars(package)["second"] == 2 and "first" not in vars(package)


def test_submodules_are_attributes(package):
    assert package.one.first == 1
    assert package.three.__name__ == "tiny.three"


def test_dir_has_all_names(package):
    assert {"first", "second", "third", "one", "two", "three"} <= {*dir(package)}
    assert "old" not in dir(package)


def test_a_former_name_warns(package):
    with pytest.warns(DeprecationWarning, match="tiny: old is now called first") as caught:
        assert package.old == 1
    assert caught[0].filename == __file__


def test_an_unknown_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="module 'tiny' has no attribute 'fourth'"):
        package.fourth  # noqa: B018


def test_an_import_that_fails_is_told(package):
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        package.third  # noqa: B018
