from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multibox.data_generator import (
    DataGenerator,
    DetectionDataset,
    Record,
    load_shapes,
    load_shards,
    resize_only,
    save_shards,
)
from multibox.data_generator.batches.order import part_of_batch, shard_numbers, shuffled_in_windows
from multibox.data_generator.formats.shards import Shard, ShardImages
from multibox.data_generator.record_table import RecordTable

SIZE = (16, 16)


def sharded(counts):
    """A data set of shards that do not exist, with so many images in each."""
    shards = [Shard(f"/nowhere/{i}.tar", 1000) for i in range(len(counts))]
    total = sum(counts)
    images = ShardImages(shards, np.array(counts), np.zeros(total, int), np.ones(total, int))
    fields = {"width": np.full(total, 16), "height": np.full(total, 16), "labels": np.zeros(0, np.int32)}
    fields |= {"object_starts": np.zeros(total + 1, int), "boxes": np.zeros((0, 4), np.float32)}
    fields |= dict.fromkeys(("difficult", "truncated", "crowd"), np.zeros(0, bool))
    return DetectionDataset(("cat",), RecordTable([str(i) for i in range(total)], images, fields))


def order_of(dataset, epoch=0, **options):
    generator = DataGenerator(dataset, 1, resize_only(SIZE), workers=0, **options)
    return np.asarray(generator._order.of_epoch(epoch, generator.shuffle))


@settings(max_examples=200, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    window=st.integers(1, 12),
    seed=st.integers(0, 99),
)
def test_an_order_is_a_permutation_that_stays_in_its_windows(counts, window, seed):
    shards = np.repeat(np.arange(len(counts)), counts)
    samples = np.arange(len(shards)) * 10
    rng = np.random.default_rng(seed)
    order = shuffled_in_windows(samples, shards, window, rng)
    assert sorted(order) == samples.tolist()
    # Shards in the order in which they are first used; a window ends before the next one begins.
    used = shards[order // 10]
    first_use = list(dict.fromkeys(used.tolist()))
    groups = [set(first_use[i : i + window]) for i in range(0, len(first_use), window)]
    at = 0
    for group in groups:
        size = sum(counts[shard] for shard in group)
        assert set(used[at : at + size].tolist()) == group
        at += size


def test_a_window_takes_its_shards_in_turn():
    """By hand: 2 windows of 2 shards with 3 images. Each pair of images has one of both shards."""
    shards = np.repeat(np.arange(4), 3)
    order = shuffled_in_windows(np.arange(12), shards, 2, np.random.default_rng(1))
    pairs = shards[order].reshape(6, 2)
    assert all(set(pair) == set(pairs[0]) for pair in pairs[:3])
    assert all(set(pair) == set(pairs[3]) for pair in pairs[3:])
    assert set(pairs[0]) | set(pairs[3]) == {0, 1, 2, 3}


def test_images_of_one_shard_come_in_any_order():
    """Each of the 6 orders of 3 images is drawn equally often, and each shard is equally often the first."""
    shards = np.repeat(np.arange(3), 3)
    orders, firsts = Counter(), Counter()
    for seed in range(3000):
        order = shuffled_in_windows(np.arange(9), shards, 2, np.random.default_rng(seed))
        orders[tuple(i for i in order.tolist() if i < 3)] += 1
        firsts[int(shards[order[0]])] += 1
    assert len(orders) == 6 and len(firsts) == 3
    assert max(abs(count - 500) for count in orders.values()) < 5 * np.sqrt(500)
    assert max(abs(count - 1000) for count in firsts.values()) < 5 * np.sqrt(1000)


@settings(max_examples=100, deadline=None)
@given(num_samples=st.integers(1, 60), batch_size=st.integers(1, 7), hosts=st.integers(1, 5))
def test_hosts_divide_each_batch(num_samples, batch_size, hosts):
    """All hosts together have the batches of one host whose batch is as large as all theirs."""
    order = np.arange(num_samples)
    for batch in range(-(-num_samples // (batch_size * hosts))):
        parts = [order[part_of_batch(batch, batch_size, (i, hosts))] for i in range(hosts)]
        whole = order[part_of_batch(batch, batch_size * hosts, (0, 1))]
        assert sorted(np.concatenate(parts)) == whole.tolist()
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
        assert max(map(len, parts)) <= batch_size


def test_a_host_needs_its_part_of_the_shards():
    dataset = sharded([20] * 12)
    order, numbers = order_of(dataset, shuffle_window=4), shard_numbers(dataset)
    parts = [set(numbers[order[host::4]]) for host in range(4)]
    assert [len(part) for part in parts] == [3, 3, 3, 3]
    assert set.union(*parts) == set(range(12))


def test_an_order_follows_from_seed_and_epoch():
    dataset = sharded([5] * 8)
    same = order_of(dataset, 3, seed=7, shuffle_window=2)
    np.testing.assert_array_equal(same, order_of(dataset, 3, seed=7, shuffle_window=2))
    for other in (
        order_of(dataset, 4, seed=7, shuffle_window=2),
        order_of(dataset, 3, seed=8, shuffle_window=2),
        order_of(dataset, 3, seed=7, shuffle_window=3),
    ):
        assert not np.array_equal(same, other)


def test_windows_of_a_part_and_of_a_list():
    dataset = sharded([5] * 8)
    assert shard_numbers(dataset[3:12]).tolist() == [0] * 2 + [1] * 5 + [2] * 2
    assert (
        shard_numbers(DetectionDataset(("cat",), list(dataset[3:12]))).tolist() == [0] * 2 + [1] * 5 + [2] * 2
    )
    assert shard_numbers(load_shapes(3, (32, 32))) is None
    mixed = [*dataset[:2], Record("x", "x.jpg", 16, 16, np.zeros((0, 4), np.float32), np.zeros(0, np.int32))]
    assert shard_numbers(DetectionDataset(("cat",), mixed)) is None
    assert DataGenerator(dataset, 1, resize_only(SIZE)).shuffle_window == 16
    assert sorted(order_of(dataset[3:12], shuffle_window=1)) == list(range(9))


def test_repeats_stay_with_their_shard():
    dataset = sharded([4] * 6)
    order = order_of(dataset, shuffle_window=2, repeat_factors=np.full(24, 2.0))
    numbers = shard_numbers(dataset)[order % 24]
    assert sorted(order) == list(range(48))
    for window in numbers.reshape(3, 16):
        assert len(set(window)) == 2


def test_without_shuffling_the_order_is_that_of_the_shards():
    assert order_of(sharded([3, 2]), shuffle=False).tolist() == [0, 1, 2, 3, 4]


def test_a_run_goes_on_at_any_batch(tmp_path):
    """Resumed at a step, with other workers and on two hosts: the same samples."""
    save_shards(load_shapes(24, (32, 32), seed=0), tmp_path / "shards", shard_bytes=2000, progress=False)
    data = load_shards(tmp_path / "shards")
    assert len(data.records.images.shards) > 4

    def epoch(batch_size, first=0, **options):
        batches = DataGenerator(data, batch_size, resize_only(SIZE), seed=3, shuffle_window=2, **options)
        batches.epoch, batches.first_batch = 2, first
        batches.on_epoch_begin()
        ids = [[a["image_id"] for a in batches[i][1]] for i in range(first, len(batches))]
        batches.close()
        return ids

    whole = epoch(4, workers=0)
    assert sorted(i for batch in whole for i in batch) == sorted(r.image_id for r in data)
    assert epoch(4, first=3, workers=2) == whole[3:]
    halves = [epoch(2, workers=1, host=(i, 2)) for i in range(2)]
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]


def test_what_is_refused():
    dataset = sharded([5, 5])
    with pytest.raises(ValueError, match="shuffle_window is for data sets of load_shards"):
        DataGenerator(load_shapes(3, (32, 32)), 1, resize_only(SIZE), shuffle_window=2)
    with pytest.raises(ValueError, match="shuffle_window must be at least 1"):
        DataGenerator(dataset, 1, resize_only(SIZE), shuffle_window=0)
    for host in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match="host must be"):
            DataGenerator(dataset, 1, resize_only(SIZE), host=host)
    with pytest.raises(ValueError, match=r"last batch has 1 samples for 3 hosts; leave 1 images out"):
        DataGenerator(dataset, 3, resize_only(SIZE), host=(0, 3))
    assert len(DataGenerator(dataset[:-1], 3, resize_only(SIZE), host=(0, 3))) == 1
