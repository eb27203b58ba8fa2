import pytest

from multibox.data_generator.formats.fields import check_name, flag, number, size_or_none


@pytest.mark.parametrize(
    ("value", "expected"), [("1.5", 1.5), ("-2e3", -2000), (" 7 ", 7), (3, 3), ("+.5", 0.5)]
)
def test_numbers(value, expected):
    assert number(value, "file", "xmin") == expected


@pytest.mark.parametrize(
    "value", ["1_0", "\uff11\uff10", "٣", "", "x", "nan", "inf", "1e6", "0x1", None, [1], "1" * 5000]
)
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="file: xmin must be a number below 1e6, got "):
        number(value, "file", "xmin")


def test_sizes():
    assert size_or_none(60.0, 40.0, "file") == (60, 40)
    assert size_or_none(0, 40, "file") is None
    with pytest.raises(ValueError, match=r"file: width and height must not be negative, got -60 and 40"):
        size_or_none(-60, 40, "file")
    with pytest.raises(ValueError, match="file: width and height must be whole pixels"):
        size_or_none(60.5, 40, "file")


def test_names():
    assert check_name("Kühe 狗", "file", "class") == "Kühe 狗"
    for name in ("a\0b", "a\nb", "\x1b[2J", "a\u2028b"):
        with pytest.raises(ValueError, match="file: class must not contain control characters, got "):
            check_name(name, "file", "class")


def test_flags():
    assert [flag(text, "file", "crowd") for text in ("1", "TRUE", " yes ", "2.0")] == [True] * 4
    assert not any(flag(text, "file", "crowd") for text in ("0", "", "No", "false", "Unspecified", "-1"))
    with pytest.raises(ValueError, match="file: crowd must be 0 or 1, got '-2'"):
        flag("-2", "file", "crowd")
    with pytest.raises(ValueError, match="file: crowd must be a number"):
        flag("maybe", "file", "crowd")
