import functools

import numpy as np
import pytest

from tests.support.sharding import check_shards
from tests.video.reader.small_databases import BASE, make, read_all, read_some
from vmz.errors import VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import ClipReader, EndOfData


@pytest.mark.parametrize("shuffle", [0, 1])
def test_global_batches_are_the_same_for_any_number_of_shards(shuffle, videos, tmp_path):
    check_shards(functools.partial(read_some, make(tmp_path / "db", videos[:7])), shuffle)


def test_shards_of_one_pass_hold_every_video_once(videos, tmp_path):
    path = make(tmp_path / "db", videos[:7])
    one_pass = {"batch_size": 2, "shard_count": 3, "seed": 1}
    shares = [read_all(path, shard_index=shard, **one_pass)[0] for shard in range(3)]
    assert [[batch.keys for batch in share] for share in shares] == [
        [["00", "01"], ["06"]],
        [["02", "03"]],
        [["04", "05"]],
    ]
    shuffled = [read_all(path, shard_index=shard, shuffle=1, **one_pass)[0] for shard in range(3)]
    keys = [key for share in shuffled for batch in share for key in batch.keys]
    assert sorted(keys) == [f"0{n}" for n in range(7)] and keys != sorted(keys)
    args = VideoInputArgs.from_mapping({**BASE, **one_pass, "wrap_around": 0, "shard_index": 2})
    with ClipReader(make(tmp_path / "few", videos[:3]), args) as reader:
        for _ in range(2):
            with pytest.raises(EndOfData, match=r"all 3 videos of .* \(shard 2 of 3\) have been read once"):
                reader.next_batch()


@pytest.mark.parametrize("shuffle", [0, 1])
def test_a_reader_goes_on_where_another_stopped(shuffle, videos, tmp_path):
    path = make(tmp_path / "db", videos[:5])
    args = {"batch_size": 2, "shard_index": 1, "shard_count": 2, "shuffle": shuffle}
    records, clips, position = read_some(path, 6, **args)
    assert position == 12
    for before in (0, 1, 2, 5):
        _, _, position = read_some(path, before or 1, **args)
        first = position if before else 0
        assert first == 2 * before
        later, rest, end = read_some(path, 6 - before, first_position=first, **args)
        assert end == 12 and later == records[first:] and np.array_equal(rest, clips[first:])


def test_the_position_counts_what_was_left_out(videos, tmp_path):
    path = make(tmp_path / "db", [videos[0], b"text" * 1000, videos[2], b"", videos[4]])
    skip = {"on_bad_video": "skip", "batch_size": 2}
    records, clips, position = read_some(path, 6, **skip)
    assert records == [0, 2, 4, 0, 2, 4, 0, 2, 4, 0, 2, 4] and position == 20
    for before, place in ((1, 3), (2, 6), (3, 10)):
        assert read_some(path, before, **skip)[2] == place
        later, rest, end = read_some(path, 6 - before, first_position=place, **skip)
        assert later == records[2 * before :] and np.array_equal(rest, clips[2 * before :]) and end == 20


def test_a_shard_fills_up_from_its_own_stream_and_may_have_no_good_video(videos, tmp_path):
    contents = [videos[0], b"bad", videos[2], b"bad", videos[4], b"bad"]
    path = make(tmp_path / "db", contents)
    shard = {"shard_count": 2, "seed": 1, "on_bad_video": "skip"}
    batches, skipped = read_all(path, shard_index=0, **shard)
    assert [batch.keys for batch in batches] == [["00"], ["02"], ["04"]] and skipped == []
    batches, skipped = read_all(path, shard_index=1, **shard)
    assert batches == [] and [bad.key for bad in skipped] == ["01", "03", "05"]
    args = VideoInputArgs.from_mapping({**BASE, **shard, "shard_index": 1})
    with ClipReader(path, args) as reader, pytest.raises(VmzError, match=r"no video of .*db \(shard 1 of 2\) can be"):
        reader.next_batch()
