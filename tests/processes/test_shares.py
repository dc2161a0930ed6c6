"""Shares of a pass: together they are all of it, and a reader goes on where it was."""

from __future__ import annotations

from typing import Any

import pytest

from vmz.processes.shares import Share, divided, own_share, share_of_one_pass
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.reading_order import ReadingOrder


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_shares_are_all_of_the_stream_and_each_goes_on_after_its_last_video(count: int, batch_size: int) -> None:
    total = 6 * batch_size * count
    seen = []
    for index in range(count):
        share = Share(index, count)
        places = [share.place(position, batch_size) for position in range(total // count)]
        assert [share.position_after(place, batch_size) for place in places] == list(range(1, total // count + 1))
        assert [place // batch_size for place in places[::batch_size]] == [share.batch(number) for number in range(6)]
        seen += places
    assert sorted(seen) == list(range(total))


@pytest.mark.parametrize("world", [1, 3])
def test_a_reader_goes_on_behind_a_record(world: int) -> None:
    for share in (Share(index, world) for index in range(world)):
        arguments: dict[str, Any] = {**share.arguments()}
        order = ReadingOrder(29, VideoInputArgs(batch_size=4, wrap_around=0, **arguments))
        for position in range(29):
            place = order.at(position)
            if place is not None:
                assert share.position_after(place[1], 4) == position + 1


def test_files_are_shared_out_one_by_one() -> None:
    assert [list(Share(index, 2).of("abcde")) for index in range(2)] == [["a", "c", "e"], ["b", "d"]]


def test_videos_of_a_pass_that_does_not_fill_its_batches() -> None:
    assert [Share(index, 2).videos(10, 4) for index in range(2)] == [6, 4]
    assert [Share(index, 3).videos(10, 4) for index in range(3)] == [4, 4, 2]
    assert Share().videos(10, 4) == 10


def test_this_processs_share(monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_share() == Share(0, 1) and share_of_one_pass() == {"wrap_around": 0}
    monkeypatch.setenv("WORLD_SIZE", "3")
    monkeypatch.setenv("RANK", "2")
    assert own_share() == Share(2, 3)
    assert share_of_one_pass() == {"wrap_around": 0, "shard_index": 2, "shard_count": 3, "seed": 1}


def test_readers_go_on_where_they_were_or_in_equal_shares() -> None:
    assert divided([12, 14], 2) == [12, 14]
    assert divided([12, 12], 4) == [6] * 4
    assert divided([8, 8, 8, 8], 1) == [32]
