from multibox.messages import one_line, printable, quoted


def test_one_line():
    assert one_line("conv1_1/kernel:0") == "conv1_1/kernel:0"
    assert one_line("a\n\x1b[0m\u00fc\u202e") == "a\\n\\x1b[0m\\xfc\\u202e"
    assert one_line("x" * 80) == "x" * 80 and one_line("x" * 81) == "x" * 77 + "..."
    assert one_line("\n" * 60) == ("\\n" * 39)[:77] + "..."
    assert one_line((3, 4)) == "(3, 4)"


def test_printable():
    assert printable('C:\\dogs \'n "cats"/Hündin/犬') == 'C:\\dogs \'n "cats"/Hündin/犬'
    assert printable("a\n\x1b[0m\u202e\x9b\ud800") == "a\\n\\x1b[0m\\u202e\\x9b\\ud800"
    assert printable("x" * 80) == "x" * 80 and printable("x" * 81) == "x" * 77 + "..."
    assert printable("\n" * 60) == ("\\n" * 39)[:77] + "..."
    assert printable(12345678, limit=6) == "123..."


def test_quoted():
    assert quoted("犬") == "'犬'" and quoted(7) == "7" and quoted(None) == "None"
    assert quoted("a\n\x1b") == r"'a\n\x1b'"
    assert quoted(10**5000) == "a large int"
    assert quoted("9" * 5000) == "'" + "9" * 76 + "..."
