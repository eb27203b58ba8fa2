import os

import pytest

from multibox.data_generator.formats.voc_xml import class_names, read_xml, xml_annotation

OBJECT = (
    "<object><name>{}</name>{}"
    "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>"
)


@pytest.mark.parametrize("encoding", ["gbk", "GB2312", "big5", "utf-16", "iso-8859-1"])
def test_encodings(tmp_path, encoding):
    name = "é" if encoding == "iso-8859-1" else "中"
    text = f'<?xml version="1.0" encoding="{encoding}"?><annotation>{OBJECT.format(name, "")}</annotation>'
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    assert class_names(read_xml(tmp_path / "a.xml"), tmp_path) == {name}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('<?xml version="1.0" encoding="foo-bar"?><annotation/>', "not a readable XML file"),
        ('<?xml version="1.0" encoding="hex_codec"?><annotation/>', "not a readable XML file"),
        ('<?xml version="1.0" encoding="euc_jis_2004"?><annotation/>', "not a readable XML file"),
        ("<annotation>", "not a readable XML file"),
        ("", "not a readable XML file"),
        ("<html><body>please log in</body></html>", "expected the root element <annotation>.* got <html>"),
    ],
)
def test_what_is_no_annotation(tmp_path, content, message):
    (tmp_path / "a.xml").write_text(content)
    with pytest.raises(ValueError, match=rf"a\.xml: {message}"):
        read_xml(tmp_path / "a.xml")


def test_a_namespace_is_removed(tmp_path):
    (tmp_path / "a.xml").write_text(f'<annotation xmlns="urn:x">{OBJECT.format("cat", "")}</annotation>')
    assert class_names(read_xml(tmp_path / "a.xml"), tmp_path) == {"cat"}


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.xml")
    with pytest.raises(ValueError, match=r"a\.xml: expected a file, but this is a named pipe"):
        read_xml(tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("flag", "value"),
    [("Unspecified", False), ("", False), ("false", False), ("0", False), ("1", True), ("true", True)],
)
def test_flags(tmp_path, flag, value):
    (tmp_path / "a.xml").write_text(
        f"<annotation>{OBJECT.format('cat', f'<truncated>{flag}</truncated>')}</annotation>"
    )
    annotation = xml_annotation(read_xml(tmp_path / "a.xml"), "a", "a.jpg", tmp_path / "a.xml")
    assert annotation.truncated.tolist() == [value]
    assert annotation.size is None


def test_a_flag_that_is_no_number(tmp_path):
    (tmp_path / "a.xml").write_text(
        f"<annotation>{OBJECT.format('cat', '<difficult>maybe</difficult>')}</annotation>"
    )
    with pytest.raises(ValueError, match=r"a\.xml: <difficult> must be a number below 1e6, got 'maybe'"):
        xml_annotation(read_xml(tmp_path / "a.xml"), "a", "a.jpg", tmp_path / "a.xml")


@pytest.mark.parametrize(
    ("text", "twice"),
    [
        ("<size><width>9</width><width>8</width><height>9</height></size>", "a <size> has <width> 2 times"),
        ("<size/><size/>", "a <annotation> has <size> 2 times"),
        (OBJECT.format("cat", "<name>dog</name>"), "a <object> has <name> 2 times"),
        (OBJECT.format("cat", "<difficult>0</difficult>" * 3), "a <object> has <difficult> 3 times"),
    ],
)
def test_fields_that_occur_twice_are_refused(tmp_path, text, twice):
    path = tmp_path / "a.xml"
    path.write_text(f"<annotation>{text}</annotation>")
    with pytest.raises(ValueError, match=rf"a\.xml: {twice}"):
        xml_annotation(read_xml(path), "a", tmp_path / "a.png", path)
