import time

import pytest

from multibox.data_generator.formats import plain_yaml
from multibox.data_generator.formats.plain_yaml import parse_yaml, read_yaml


def test_values_stay_texts(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(
        "a: [no, 1, 2023-02-30, '', ~, 'null']\nb:\n  0: x\n  1: &name y\nc:\n", encoding="utf-8-sig"
    )
    assert read_yaml(path) == {
        "a": ["no", "1", "2023-02-30", "", None, "null"],
        "b": {"0": "x", "1": "y"},
        "c": None,
    }


@pytest.mark.parametrize("text", ["", "# nothing", "~"])
def test_nothing(text):
    assert parse_yaml(text, "a.yaml") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [b", "while parsing a flow sequence"),
        ("a: !!bool maybe", r"tags \(!!name\) are not supported"),
        ("a: !!python/object/apply:os.getcwd []", r"tags \(!!name\) are not supported"),
        ("a: !local b", r"tags \(!!name\) are not supported"),
        ("a: &x [1]\nb: *x", r"aliases \(\*name\) are not supported"),
        ("a: 1\nb: 2\na: 3", "line 3: the key 'a' occurs more than once"),
        ("? [a]\n: b", "line 1: a key must be a text"),
        ('a: "\\UFFFFFFFF"', "not a readable yaml file: "),
        ("%YAML " + "1" * 5000 + ".1\n---\na: b", "not a readable yaml file: "),
        ("a: b\n---\nc: d", "expected a single document"),
        ("a: \x00", "special characters are not allowed"),
        ("- " * 1000, "too many values, or values that are nested too deep"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(
        ValueError, match=rf"^a\.yaml: not a readable yaml file: .*{message}|{message}"
    ) as error:
        parse_yaml(text, "a.yaml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["[" * 100_000, "[\n" * 100_000, "{a: " * 50_000, "k:\n" * 100_000])
def test_depth_takes_no_time(text):
    start = time.process_time()
    with pytest.raises(ValueError, match=r"^a\.yaml: not a readable yaml file"):
        parse_yaml(text, "a.yaml")
    assert time.process_time() - start < 5


def test_the_number_of_values_is_limited(monkeypatch):
    monkeypatch.setattr(plain_yaml, "_MAX_TOKENS", 20)
    assert len(parse_yaml("[" + "a, " * 8 + "a]", "a.yaml")) == 9
    with pytest.raises(ValueError, match="too many values"):
        parse_yaml("[" + "a, " * 9 + "a]", "a.yaml")
