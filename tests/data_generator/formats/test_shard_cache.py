import multiprocessing
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from multibox.data_generator import (
    DataGenerator,
    ImageError,
    load_dataset,
    load_shapes,
    load_shards,
    resize_only,
    save_shards,
)
from multibox.data_generator.formats import shard_cache
from multibox.data_generator.formats.layouts import path_and_set
from multibox.data_generator.formats.shard_cache import ShardCache
from multibox.data_generator.formats.shards import _opened

SIZE = (32, 32)
COUNT = 24


@pytest.fixture
def shards(tmp_path):
    save_shards(load_shapes(COUNT, SIZE, seed=0), tmp_path / "shards", shard_bytes=2000, progress=False)
    _opened.cache_clear()
    return tmp_path / "shards"


@pytest.fixture
def address(shards):
    """The same shards at an address."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    system = fsspec.filesystem("memory")
    system.put(str(shards), "/bucket/train", recursive=True)
    yield "memory://bucket/train"
    system.rm("/bucket", recursive=True)


@pytest.fixture
def fetched(monkeypatch):
    """The addresses that are fetched, in order."""
    found, fetch = [], shard_cache._fetch

    def counting(address, size, target):
        found.append(address.rpartition("/")[2])
        time.sleep(0.02)  # so that others come meanwhile
        fetch(address, size, target)

    monkeypatch.setattr(shard_cache, "_fetch", counting)
    return found


def pixels(dataset):
    return {record.image_id: record.read() for record in dataset}


def check_same(found, shards):
    expected = pixels(load_shards(shards))
    assert found.keys() == expected.keys()
    for name, image in expected.items():
        np.testing.assert_array_equal(found[name], image)


def test_an_address(address, shards, fetched, tmp_path, monkeypatch):
    data = load_shards(address, cache=tmp_path / "cache")
    assert fetched == ["index.h5"]
    check_same(pixels(data), shards)
    names = [path.name for path in shards.glob("*.tar")]
    assert sorted(fetched[1:]) == sorted(names)  # each once
    _opened.cache_clear()
    check_same(pixels(load_shards(f"{address}/", cache=tmp_path / "cache")), shards)
    assert len(fetched) == 1 + len(names)
    monkeypatch.setenv("MULTIBOX_HOME", str(tmp_path / "home"))
    assert len(load_dataset(address)) == COUNT
    assert list((tmp_path / "home/shards").glob("*.copy"))
    assert path_and_set(address) == (address, None)


def test_a_path_with_a_cache(shards, fetched, tmp_path):
    check_same(pixels(load_shards(shards, cache=tmp_path / "cache")), shards)
    assert len(fetched) == 1 + len(list(shards.glob("*.tar")))


def test_threads_fetch_a_shard_once(shards, fetched, tmp_path):
    data = load_shards(shards, cache=tmp_path / "cache")
    shard = data[0].image.shard
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: shard.path(), range(8)))) == 1
    assert fetched == ["index.h5", Path(shard.address).name]


def _path_of(shard, queue):
    queue.put((shard.path(), os.getpid()))


def test_processes_fetch_a_shard_once(shards, tmp_path, monkeypatch):
    fetch = shard_cache._fetch

    def noting(address, size, target):
        with (tmp_path / "fetched").open("a") as file:
            file.write(f"{address}\n")
        time.sleep(0.5)
        fetch(address, size, target)

    monkeypatch.setattr(shard_cache, "_fetch", noting)
    shard = load_shards(shards, cache=tmp_path / "cache")[0].image.shard
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [context.Process(target=_path_of, args=(shard, queue)) for _ in range(4)]
    for process in processes:
        process.start()
    assert len({queue.get()[0] for _ in processes}) == 1
    for process in processes:
        process.join()
    assert (tmp_path / "fetched").read_text().count(Path(shard.address).name) == 1


def test_the_least_recently_used_copies_leave(shards, fetched, tmp_path):
    names = sorted(shards.glob("*.tar"))[:4]
    size = names[0].stat().st_size
    cache = ShardCache(str(tmp_path / "cache"), 3 * size)
    copies = []
    for second, name in enumerate(names[:3]):
        copies.append(cache.copy_of(str(name), size, ""))
        os.utime(copies[-1], (second, second))
    os.utime(copies[0], (9, 9))  # was used again
    cache.copy_of(str(names[3]), size, "")
    assert [copy.exists() for copy in copies] == [True, False, True]
    assert len(list((tmp_path / "cache").glob("*.copy"))) == 3


def test_a_cache_smaller_than_a_shard_still_works(shards, tmp_path):
    data = load_shards(shards, cache=tmp_path / "cache", cache_bytes=1)
    check_same(pixels(data), shards)
    assert len(list((tmp_path / "cache").glob("*.copy"))) == 1


def test_another_data_set_at_the_same_address(shards, tmp_path):
    """Of the same size, but of other images."""
    old = pixels(load_shards(shards, cache=tmp_path / "cache"))
    shutil.rmtree(shards)
    save_shards(load_shapes(COUNT, SIZE, seed=0), shards, shard_bytes=2000, seed=5, progress=False)
    _opened.cache_clear()
    new = pixels(load_shards(shards, cache=tmp_path / "cache"))
    assert list(new) != list(old)
    check_same(new, shards)


def test_what_cannot_be_fetched(address, shards, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    with pytest.raises(FileNotFoundError, match=r"memory://bucket/other/index.h5: no such file"):
        load_shards("memory://bucket/other", cache=tmp_path / "cache")
    with pytest.raises(ImageError, match=r"nothing://bucket/index.h5: cannot fetch the file: ValueError"):
        load_shards("nothing://bucket", cache=tmp_path / "cache")
    data = load_shards(address, cache=tmp_path / "cache")
    system = fsspec.filesystem("memory")
    content = system.cat("/bucket/train/00000.tar")
    system.pipe("/bucket/train/00000.tar", content + b"x")
    with pytest.raises(ImageError, match=rf"train/00000.tar: the shard has {len(content) + 1} bytes"):
        data[0].read()
    system.rm("/bucket/train/00000.tar")
    with pytest.raises(ImageError, match=r"train/00000.tar: cannot fetch the file: FileNotFoundError"):
        data[0].read()
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name.startswith(".partial")]
    system.pipe("/bucket/train/00000.tar", content)
    data[0].read()


@pytest.mark.parametrize("options", [{"workers": 2}, {"workers": 2, "use_multiprocessing": True}])
def test_a_generator_fetches_each_shard_of_its_part_once(shards, tmp_path, monkeypatch, options):
    fetch = shard_cache._fetch

    def noting(address, size, target):
        with (tmp_path / "fetched").open("a") as file:
            file.write(f"{Path(address).name}\n")
        fetch(address, size, target)

    monkeypatch.setattr(shard_cache, "_fetch", noting)
    names = {path.name for path in shards.glob("*.tar")}
    data = load_shards(shards, cache=tmp_path / "cache")
    batches = DataGenerator(data, 2, resize_only(SIZE), shuffle_window=2, **options)
    batches.on_epoch_begin()
    ids = [a["image_id"] for i in range(len(batches)) for a in batches[i][1]]
    batches.close()
    assert sorted(ids) == sorted(record.image_id for record in data)
    assert sorted((tmp_path / "fetched").read_text().split()) == sorted([*names, "index.h5"])


def test_the_next_window_is_fetched_ahead(shards, fetched, tmp_path):
    data = load_shards(shards, cache=tmp_path / "cache")
    fetched.clear()
    batches = DataGenerator(data, 1, resize_only(SIZE), shuffle_window=2, workers=0)
    batches.first_batch = 8
    batches.on_epoch_begin()
    order = np.asarray(batches._order.of_epoch(0, True))
    used = list(dict.fromkeys(Path(data[int(i)].image.shard.address).name for i in order[8:]))
    batches[8]
    batches._fetching._pool.shutdown(wait=True)
    batches.close()
    # Those of this window, which began before, and of the next one; no more, and each once.
    assert len(used) > 4
    assert 2 <= len(fetched) <= 4
    assert set(fetched) == set(used[: len(fetched)])
    assert len(fetched) == len(set(fetched))


def test_without_fsspec(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_cache, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"needs the package fsspec.* extra remote"):
        load_shards("s3://bucket/train", cache=tmp_path)
