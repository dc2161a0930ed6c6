from typing import Any

import numpy as np
import pytest

from vmz.video.arguments import VideoInputArgs
from vmz.video.database.reading_order import ReadingOrder, permutation


def places(records, count=None, start=0, **args):
    """(turn, record) of the first positions, or of all with wrap_around=0."""
    order = ReadingOrder(records, VideoInputArgs(seed=7, wrap_around=int(count is not None), **args))
    found: list[Any] = []
    while (place := order.at(start + len(found))) is not None and len(found) != count:
        found.append(place)
    return found


def test_one_reader_goes_round():
    assert places(3, 5, batch_size=2) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert places(3, 2, start=5, batch_size=2) == [(1, 2), (2, 0)]


@pytest.mark.parametrize("shuffle", [0, 1])
@pytest.mark.parametrize(("shards", "batch"), [(1, 12), (2, 6), (3, 4), (4, 3), (12, 1)])
def test_a_global_batch_is_the_same_for_any_number_of_shards(shards, batch, shuffle):
    args = {"batch_size": batch, "shard_count": shards, "shuffle": shuffle}
    each = [places(7, 4 * batch, shard_index=shard, **args) for shard in range(shards)]
    together = [place for n in range(4) for share in each for place in share[n * batch : (n + 1) * batch]]
    assert together == places(7, 48, batch_size=12, shuffle=shuffle)


@pytest.mark.parametrize("shuffle", [0, 1])
@pytest.mark.parametrize("records", [1, 5, 6, 12, 13])
def test_one_turn_in_shares_holds_every_record_once(records, shuffle):
    args = {"batch_size": 2, "shard_count": 3, "shuffle": shuffle}
    shares = [places(records, shard_index=shard, **args) for shard in range(3)]
    assert sorted(place for share in shares for place in share) == [(0, record) for record in range(records)]


def test_shuffled_turns_are_those_of_the_operator():
    """The figures are those of ops/tests/order_test.cc."""
    assert permutation(7, 0, 10).tolist() == [5, 3, 6, 4, 7, 9, 8, 2, 1, 0]
    assert permutation(7, 1, 10).tolist() == [5, 3, 2, 7, 1, 4, 6, 8, 0, 9]
    assert permutation(1 << 62, 1 << 40, 5).tolist() == [2, 4, 1, 3, 0]


def test_turns_are_unlike_each_other_and_as_if_drawn():
    turns = np.stack([permutation(1, turn, 50) for turn in range(2000)])
    assert (np.sort(turns) == np.arange(50)).all()
    assert len(np.unique(turns, axis=0)) == 2000
    places_of_a_record = np.bincount(turns[:, 0], minlength=50)  # 40 times each on average
    assert places_of_a_record.min() > 15 and places_of_a_record.max() < 70
    neighbours = np.corrcoef(turns[:-1].ravel(), turns[1:].ravel())[0, 1]
    assert abs(neighbours) < 0.02
