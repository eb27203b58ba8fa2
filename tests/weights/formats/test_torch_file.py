"""torch's files without torch: the golden one tensor by tensor, views and types, and files that attack."""

import json
import os
import pickle
import struct
import zipfile
import zlib
from functools import partial

import foreign_files
import numpy as np
import pytest
from damaged_files import cut_off, flipped, refused_or_read
from foreign_files import LEGACY_HEADER, number, state_dict, tensor, text, torch_legacy

from multibox.weights.formats.torch_file import read_torch

NUMBERS = np.arange(24, dtype=np.float32)


def test_every_tensor_of_a_real_file(golden):
    folder = golden / "torchvision"
    state = read_torch(folder / "ssdlite320_random.pth")
    record = json.loads((folder / "weights_checksums.json").read_text())["ssdlite320_91"]["crc32_per_tensor"]
    shapes = json.loads((folder / "ssdlite320_91_state.json").read_text())
    assert list(state) == list(shapes)
    for name, array in state.items():
        assert list(array.shape) == shapes[name]
        assert f"{zlib.crc32(np.ascontiguousarray(array).tobytes()):08x}" == record[name], name


# Files written here, as torch writes them ---------------------------------------------------------------


def parameter(data):
    return b"ctorch._utils\n_rebuild_parameter\n(" + data + b"\x88ccollections\nOrderedDict\n)RtR"


def write(path, content, data=None, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("archive/byteorder", b"little")
        archive.writestr("archive/data/0", NUMBERS.tobytes() if data is None else data)
        for name, value in members.items():
            archive.writestr(f"archive/{name}", value)
    return path


@pytest.mark.parametrize(
    ("dtype", "storage", "expected"),
    [
        ("<f4", "FloatStorage", np.float32),
        ("<f8", "DoubleStorage", np.float32),
        ("<f2", "HalfStorage", np.float32),
        ("<i8", "LongStorage", np.int64),
        ("<i4", "IntStorage", np.int64),
        ("u1", "ByteStorage", np.int64),
    ],
)
def test_types(tmp_path, dtype, storage, expected):
    path = write(tmp_path / "x.pth", state_dict(w=tensor(storage)), NUMBERS.astype(dtype).tobytes())
    array = read_torch(path)["w"]
    np.testing.assert_array_equal(array, NUMBERS.reshape(4, 6))
    assert array.dtype == expected


def test_bfloat16_is_the_upper_half_of_a_float(tmp_path):
    values = np.array([1.0, -2.5, 3e38, 1e-30, 0.0, np.inf] * 4, np.float32)
    upper = (values.view(np.uint32) >> 16).astype("<u2")
    path = write(tmp_path / "x.pth", state_dict(w=tensor("BFloat16Storage")), upper.tobytes())
    np.testing.assert_allclose(read_torch(path)["w"].ravel(), values, rtol=2**-7)


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ({"offset": 8, "size": (3, 2), "stride": (6, 1)}, NUMBERS.reshape(4, 6)[1:, 2:4]),
        ({"size": (6, 4), "stride": (1, 6)}, NUMBERS.reshape(4, 6).T),
        ({"size": (), "stride": (), "offset": 7}, NUMBERS[7]),
        ({"size": (0, 3), "stride": (3, 1)}, np.zeros((0, 3))),
        ({"size": (4, 1, 6), "stride": (6, 0, 1)}, NUMBERS.reshape(4, 1, 6)),
    ],
)
def test_strides_and_offsets(tmp_path, view, expected):
    path = write(tmp_path / "x.pth", state_dict(w=tensor(**view)))
    np.testing.assert_array_equal(read_torch(path)["w"], expected)


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "ema"])
def test_checkpoints(tmp_path, key):
    inner = state_dict(**{"module.w": parameter(tensor()), "module.b": tensor(size=(6,), stride=(1,))})
    path = write(tmp_path / "x.pth", b"}(" + text("epoch") + number(3) + text(key) + inner + b"u")
    state = read_torch(path)
    assert list(state) == ["w", "b"]
    np.testing.assert_array_equal(state["w"], NUMBERS.reshape(4, 6))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tensor(offset=1), "offset 1 in a storage of 24"),
        (tensor(size=(5, 6)), "in a storage of 24"),
        (tensor(size=(1 << 30, 6), stride=(0, 1)), "in a storage of 24"),
        (tensor(size=(-4, 6)), "size"),
        (tensor(size=(4, 6), stride=(-6, 1)), "stride"),
        (tensor(size=(4,), stride=(1, 1)), "stride"),
        (tensor(size=(1,) * 40, stride=(1,) * 40), "size"),
        (tensor(count=25), "96 bytes instead of 100"),
        (tensor(count=1 << 30), "instead of"),
        (tensor("DoubleStorage"), "96 bytes instead of 192"),
        (tensor("ComplexFloatStorage"), r"torch\.ComplexFloatStorage"),
        (tensor(key="1"), "no member archive/data/1"),
        (tensor(key="../../secret"), "no member"),
        (number(3), "no tensor"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR", "tensor"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "damaged"),
        (parameter(number(3)), "parameter"),
    ],
)
def test_wrong_tensors(tmp_path, content, message):
    path = write(tmp_path / "x.pth", state_dict(w=content))
    with pytest.raises(ValueError, match=message) as error:
        read_torch(path)
    assert str(error.value).startswith(f"{path}: expected a torch file")


def test_wrong_archives(tmp_path):
    path = tmp_path / "x.pth"
    for write_it, message in (
        (lambda: write(path, state_dict(w=tensor()), compression=zipfile.ZIP_DEFLATED), "compressed"),
        (lambda: write(path, state_dict(w=tensor()), bytes(95)), "95 bytes instead of"),
        (lambda: write(path, b"]"), "no dict"),
        (lambda: write(path, state_dict(w=tensor()), **{"more/data.pkl": b""}), "2 members data.pkl"),
    ):
        write_it()
        with pytest.raises(ValueError, match=message):
            read_torch(path)


def test_members_that_share_their_bytes(tmp_path):
    """Each could be as large as the file."""
    path = write(tmp_path / "x.pth", state_dict(w=tensor()), bytes(96), **{"data/1": bytes(5000)})
    data = bytearray(path.read_bytes())
    entry = data.index(b"archive/data/0", data.index(b"PK\1\2")) - 46
    data[entry + 20 : entry + 28] = (5000).to_bytes(4, "little") * 2  # both sizes in the directory
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"members of \d+ bytes in a zip archive of \d+: they overlap"):
        read_torch(path)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: {"w": e}, lambda e: {"state_dict": {"a": [e]}}])
def test_code_in_a_file_does_not_run(tmp_path, wrap, legacy):
    marker, path = tmp_path / "it ran", tmp_path / "x.pth"
    content = pickle.dumps(wrap(Evil(marker)), 2)
    if legacy:
        path.write_bytes(b"".join(pickle.dumps(x, 2) for x in LEGACY_HEADER) + content + pickle.dumps([], 2))
    else:
        write(path, content[2:-1])
    with pytest.raises(ValueError, match=r"(posix|nt)\.system, which is refused"):
        read_torch(path)
    assert not marker.exists()


# The older format ---------------------------------------------------------------------------------------


def test_the_older_format(tmp_path):
    path = torch_legacy(tmp_path / "x.pth", state_dict(w=tensor(), v=tensor(size=(6, 4), stride=(1, 6))))
    state = read_torch(path)
    np.testing.assert_array_equal(state["w"], NUMBERS.reshape(4, 6))
    np.testing.assert_array_equal(state["v"], NUMBERS.reshape(4, 6).T)
    old = state_dict(w=tensor()).replace(b"_rebuild_tensor_v2", b"_rebuild_tensor")
    assert read_torch(torch_legacy(path, old))["w"].shape == (4, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": bytes(90)}, "96 bytes where 90 are left"),
        ({"count": 23}, "23 numbers instead of 24"),
        ({"keys": ("1",)}, "list of storages"),
        ({"keys": ()}, "no storage 0"),
    ],
)
def test_the_older_format_damaged(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        read_torch(torch_legacy(tmp_path / "x.pth", state_dict(w=tensor()), **changes))


def test_against_torch_itself(tmp_path):
    torch = pytest.importorskip("torch")
    x = torch.arange(24.0).reshape(4, 6)
    state = {
        "t": x.t(),
        "s": x[1:, 2:4],
        "bf": x.bfloat16(),
        "half": x.half(),
        "n": torch.tensor(3),
        "bool": x > 3,
    }
    state["parameter"] = torch.nn.Parameter(x)
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save({"model": state, "epoch": 3}, path, _use_new_zipfile_serialization=zipped)
        ours = read_torch(path)
        assert list(ours) == list(state)
        for name, value in state.items():
            np.testing.assert_array_equal(ours[name], value.detach().float().numpy())


@pytest.mark.parametrize("writer", [write, torch_legacy])
def test_damaged_files_are_refused_or_read(tmp_path, writer):
    path = tmp_path / "x.pth"
    data = writer(path, state_dict(w=tensor(), v=tensor(size=(6, 4), stride=(1, 6)))).read_bytes()
    memory = 4 << 20
    cut = cut_off(data, 200)
    assert refused_or_read(read_torch, path, cut, memory) == len(cut)
    assert refused_or_read(read_torch, path, flipped(data, 600), memory) > 200


def big(value):
    return b"\x8a\x14" + value.to_bytes(20, "little", signed=True)  # LONG1


HUGE = [
    ((1, 24), (1 << 80, 1), 0, "1152921504606846976 or more"),
    ((1, 24), (-1 << 80, 1), 0, "1152921504606846976 or more"),
    ((0, 1 << 80), (1, 1), 0, "1152921504606846976 or more"),
    ((0,), (1,), 1 << 80, "1152921504606846976 or more"),
    ((0, 1 << 40, 1 << 40), (1, 1, 1), 0, "1152921504606846976 numbers or more"),
    ((0, 1), (1, 1 << 59), 0, None),
    ((0, 1 << 59), (1, 1), 0, None),
]


@pytest.mark.parametrize("writer", [write, torch_legacy])
@pytest.mark.parametrize(("size", "stride", "offset", "message"), HUGE)
def test_numbers_beyond_64_bits(tmp_path, monkeypatch, writer, size, stride, offset, message):
    monkeypatch.setattr(foreign_files, "number", big)
    path = writer(tmp_path / "x.pth", state_dict(w=tensor(size=size, stride=stride, offset=offset)))
    if message is None:
        assert read_torch(path)["w"].size == 0
    else:
        with pytest.raises(ValueError, match=rf"x\.pth: expected .*{message}"):
            read_torch(path)


def test_a_storage_beyond_64_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_files, "number", big)
    path = torch_legacy(tmp_path / "x.pth", state_dict(w=tensor(count=(1 << 64) - 1)), count=-1)
    with pytest.raises(ValueError, match=r"x\.pth: expected .* a damaged storage"):
        read_torch(path)


@pytest.mark.parametrize("writer", [write, partial(torch_legacy, keys=())])
def test_what_python_cannot_do_is_damage(tmp_path, writer):
    key = (1 << 20_000).to_bytes(2502, "little")  # too many digits to be printed
    content = b"}\x8b" + struct.pack("<i", len(key)) + key + number(1) + b"s"
    with pytest.raises(ValueError, match=r"x\.pth: expected .* a damaged .*: Exceeds the limit") as error:
        read_torch(writer(tmp_path / "x.pth", content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("writer", [write, torch_legacy])
@pytest.mark.parametrize("depth", [2000, 200_000])
def test_names_nested_deeply(tmp_path, writer, depth):
    nested = b")" + b"\x85" * depth
    for names in (nested + text("a"), text("a") + nested):
        with pytest.raises(ValueError, match=r"x\.pth: expected .*a global whose name is not text"):
            read_torch(writer(tmp_path / "x.pth", names + b"\x93"))


HOSTILE = "a\nERROR: all is well\x1b[31m" + "x" * 10_000


@pytest.mark.parametrize(
    "case",
    [
        lambda path: write(path, text("os") + text(HOSTILE) + b"\x93"),
        lambda path: write(path, b"}" + text(HOSTILE) + number(1) + b"s"),
        lambda path: write(path, state_dict(w=tensor(key=HOSTILE))),
        lambda path: write(path, state_dict(w=tensor(key=HOSTILE)), **{f"data/{HOSTILE}": b""}),
        lambda path: write(path, state_dict(w=tensor(size=(1 << 30,) * 32, stride=(1,) * 32))),
        lambda path: write(path, state_dict(w=tensor(size=(1,) * 10_000))),
        lambda path: torch_legacy(path, state_dict(w=tensor(key=HOSTILE)), keys=(HOSTILE,), count=23),
        lambda path: torch_legacy(path, state_dict(w=tensor(key=HOSTILE)), keys=(HOSTILE,), data=b""),
        lambda path: torch_legacy(path, state_dict(w=tensor(key=HOSTILE)), keys=()),
        lambda path: torch_legacy(path, state_dict(w=tensor(key=HOSTILE), v=tensor(key=HOSTILE, count=23))),
    ],
)
def test_messages_stay_one_short_line_whatever_the_names(tmp_path, case):
    path = case(tmp_path / "x.pth")
    with pytest.raises(ValueError, match=r"x\.pth: expected a torch file") as error:
        read_torch(path)
    message = str(error.value).removeprefix(str(path))
    assert message.isascii() and message.isprintable() and len(message) < 400


def test_damaged_real_files(golden, tmp_path):
    data = (golden / "torchvision" / "ssdlite320_random.pth").read_bytes()
    path, memory = tmp_path / "x.pth", 4 * len(data)
    cut = cut_off(data, 12)
    assert refused_or_read(read_torch, path, cut, memory) == len(cut)
    # The end is the archive's directory, which decides what is read; all members have a checksum.
    where = (len(data) - 40_000, len(data))
    assert refused_or_read(read_torch, path, flipped(data, 10, where=where), memory) > 2
    assert refused_or_read(read_torch, path, flipped(data, 10), memory) > 5
