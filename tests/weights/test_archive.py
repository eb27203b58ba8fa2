"""Weights in ZIP archives, also damaged and hostile ones."""

import io
import re
import stat
import tracemalloc
import zipfile

import pytest
from caches import assert_untouched, error_on_a_small_disk, names, read_only

from multibox.weights.archive import extract_member

LARGE = 1 << 20


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in members.items():
            zipped.writestr(name, data)
    return path


def test_a_member_is_extracted_once_and_again_when_it_differs(tmp_path):
    path = archive(tmp_path / "net.v1.zip", m=b"12345", other=b"1")
    target = tmp_path / "net.v1-m"
    assert extract_member(path, "m", LARGE) == target and target.read_bytes() == b"12345"
    read_only(tmp_path)
    assert extract_member(path, "m", LARGE) == target
    assert_untouched(tmp_path)
    target.write_bytes(b"54321")
    assert extract_member(path, "m", LARGE).read_bytes() == b"12345"
    assert names(tmp_path) == ["net.v1-m", "net.v1.zip"]


def test_a_member_that_cannot_be_written(tmp_path):
    path = archive(tmp_path / "a.zip", m=bytes(200_000))
    error = error_on_a_small_disk(f"extract_member(Path({str(path)!r}), 'm', {LARGE})")
    assert re.match(r"cannot use .*a-m: File too large; set .*MULTIBOX_HOME", error)
    assert names(tmp_path) == ["a.zip"]


def test_names_in_an_archive_lead_nowhere(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    path = archive(folder / "a.zip", **{"../evil": b"evil", "m/../../evil": b"evil", "m": b"good"})
    assert extract_member(path, "m", LARGE).read_bytes() == b"good"
    assert names(tmp_path) == ["in"] and names(folder) == ["a-m", "a.zip"]


def test_a_symbolic_link_is_not_made(tmp_path):
    link = zipfile.ZipInfo("m")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(link, "/etc/hostname")
    target = extract_member(tmp_path / "a.zip", "m", LARGE)
    assert not target.is_symlink() and target.read_bytes() == b"/etc/hostname"


def test_too_large_a_member_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", m=bytes(10 * LARGE))
    assert path.stat().st_size < LARGE
    with pytest.raises(
        ValueError, match=r"a\.zip: cannot read m: it has 10485760 bytes, expected at most 1048576"
    ):
        extract_member(path, "m", LARGE)
    assert names(tmp_path) == ["a.zip"]


def test_a_member_that_is_larger_than_the_archive_says_is_refused(tmp_path):
    path = archive(tmp_path / "a.zip", m=bytes(100 * LARGE))
    size, lie = (n.to_bytes(4, "little") for n in (100 * LARGE, 1000))
    path.write_bytes(path.read_bytes().replace(size, lie))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"cannot read m: Bad CRC-32.*delete the archive"):
        extract_member(path, "m", LARGE)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert names(tmp_path) == ["a.zip"] and peak < LARGE


@pytest.mark.parametrize("damage", ["text", "cut", "bytes", "empty"])
def test_damaged_archives_are_refused(tmp_path, damage):
    path = archive(tmp_path / "a.zip", m=b"0123456789" * 1000 + bytes(range(256)) * 9)
    data = bytearray(path.read_bytes())
    middle = len(data) // 4
    data[middle : middle + 8] = bytes(8)
    path.write_bytes({"text": b"<html>", "cut": path.read_bytes()[:-30], "bytes": data, "empty": b""}[damage])
    with pytest.raises(
        ValueError, match=r"a\.zip: cannot read m: .*; delete the archive to download it again"
    ):
        extract_member(path, "m", LARGE)
    assert names(tmp_path) == ["a.zip"]


def test_any_damaged_byte_gives_the_member_or_the_error(tmp_path):
    good = archive(tmp_path / "a.zip", m=b"content" * 9).read_bytes()
    for position in range(len(good)):
        for value in (0, 255, good[position] ^ 8):
            (tmp_path / "a.zip").write_bytes(good[:position] + bytes([value]) + good[position + 1 :])
            try:
                assert extract_member(tmp_path / "a.zip", "m", LARGE).read_bytes() == b"content" * 9
            except ValueError as error:
                assert "delete the archive" in str(error) and "\n" not in str(error)


def test_a_missing_or_encrypted_member_is_named(tmp_path):
    path = archive(tmp_path / "a.zip", one=b"1", two=b"2")
    with pytest.raises(ValueError, match=r"a\.zip: cannot read m: .*no item named"):
        extract_member(path, "m", LARGE)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("m", b"1")
    data = bytearray(buffer.getvalue())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"a\.zip: cannot read m: .*encrypted"):
        extract_member(path, "m", LARGE)
