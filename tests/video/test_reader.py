import functools
import json
import os
import subprocess
import sys
import threading

import av
import numpy as np
import pytest

from tests.goldens.recordings import golden_path, video_path
from tests.support.sharding import AUGMENTED, check_shards
from vmz.errors import UsageError, VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.database import DatabaseWriter
from vmz.video.reader import BadVideoError, ClipReader, EndOfData
from vmz.video.records import Record

BASE = {
    "batch_size": 1,
    "clip_per_video": 1,
    "decode_type": 1,
    "length_rgb": 8,
    "scale_h": 128,
    "scale_w": 171,
    "crop_size": 112,
    "random_crop": 0,
    "random_mirror": 0,
    "num_decode_threads": 2,
}


def encode(path, frames, level=0, size=(176, 144)):
    """An MPEG-4 file whose frame t is a ramp that starts at `level` + 4 t."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for time in range(frames):
            ramp = (np.arange(size[0], dtype=np.int64)[None, :, None] // 2 + level + 4 * time) % 256
            picture = np.broadcast_to(ramp, (size[1], size[0], 3)).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Eight small videos of 20 frames each, all different."""
    folder = tmp_path_factory.mktemp("videos")
    return [encode(folder / f"{number}.mp4", 20, 25 * number) for number in range(8)]


def make(path, contents, **record):
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%02d" % number, content, (number,), **record))
    return path


def read_all(path, **changes):
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, "wrap_around": 0, **changes})) as reader:
        batches = []
        with pytest.raises(EndOfData):
            while True:
                batches.append(reader.next_batch())
        return batches, reader.skipped


def test_one_pass_gives_each_video_once_in_order(videos, tmp_path):
    batches, skipped = read_all(make(tmp_path / "db", videos), batch_size=3, clip_per_video=2)
    assert [batch.keys for batch in batches] == [["00", "01", "02"], ["03", "04", "05"], ["06", "07"]]
    assert [batch.data.shape for batch in batches] == [(6, 3, 8, 112, 112), (6, 3, 8, 112, 112), (4, 3, 8, 112, 112)]
    assert np.concatenate([batch.label for batch in batches]).tolist() == [n for n in range(8) for _ in range(2)]
    assert batches[2].record_index.tolist() == [6, 7]
    assert (batches[0].data.dtype, batches[0].label.dtype, batches[0].record_index.dtype) == ("f4", "i4", "i8")
    assert batches[0].video_id is None
    assert skipped == []


def test_wrapping_around_goes_on_with_the_first(videos, tmp_path):
    args = VideoInputArgs.from_mapping({**BASE, "batch_size": 3})
    with ClipReader(make(tmp_path / "db", videos), args) as reader:
        keys = [reader.next_batch().keys for _ in range(4)]
    assert keys[2:] == [["06", "07", "00"], ["01", "02", "03"]]


def test_the_number_of_threads_changes_nothing_and_the_seed_does(videos, tmp_path):
    path = make(tmp_path / "db", videos)
    random = {"decode_type": 0, "random_crop": 1, "random_mirror": 1, "random_sampling_rate": 2, "batch_size": 3}

    def clips(threads, seed):
        args = VideoInputArgs.from_mapping({**BASE, **random, "num_decode_threads": threads, "seed": seed})
        with ClipReader(path, args) as reader:
            return np.concatenate([reader.next_batch().data for _ in range(6)])

    first = clips(1, seed=5)
    assert np.array_equal(first, clips(4, seed=5))
    assert not np.array_equal(first, clips(4, seed=6))
    assert not np.array_equal(first[:8], first[8:16])  # a second pass draws anew
    assert not np.array_equal(clips(1, seed=0), clips(1, seed=0))


def test_random_clips_reach_starts_crops_and_mirrors(tmp_path):
    path = make(tmp_path / "db", [encode(tmp_path / "a.mp4", 10)])
    random = {"decode_type": 0, "random_crop": 1, "random_mirror": 1, "scale_h": 113, "scale_w": 114, "seed": 1}
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, **random})) as reader:
        clips = {reader.next_batch().data.tobytes() for _ in range(200)}
    assert len(clips) == 3 * 3 * 2  # starts x lefts x mirrors; the rows of these pictures are all alike


def test_random_starts_are_drawn_by_number(tmp_path):
    """A video of varying rate: from most times on there are fewer frames than an even rate would have."""
    path = tmp_path / "varying.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=100)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time in range(30):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * time, np.uint8), format="rgb24")
            picture.pts = time if time < 20 else 20 + 20 * (time - 20)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    database = make(tmp_path / "db", [path.read_bytes()])
    small = {"decode_type": 0, "scale_h": 48, "scale_w": 64, "crop_size": 48, "length_rgb": 8, "batch_size": 60}
    with ClipReader(database, VideoInputArgs.from_mapping({**BASE, **small, "seed": 1})) as reader:
        first = reader.next_batch().data[:, 0, 0, 0, 0] * 58.1489 + 110.201
    starts = set(np.rint(first / 8).astype(int).tolist())
    assert min(starts) < 3 and max(starts) > 20 and len(starts) > 12
    faults = {"original_start_faults": 1, "seed": 1}
    with (
        ClipReader(database, VideoInputArgs.from_mapping({**BASE, **small, **faults})) as reader,
        pytest.raises(BadVideoError, match="from its start frame on, but 8 are needed"),
    ):
        reader.next_batch()


def test_jitter_scales_draw_the_short_edge_of_each_video(videos, tmp_path):
    random = {"video_res_type": 1, "jitter_scales": [112, 144], "seed": 3, "batch_size": 8, "decode_type": 0}
    path = make(tmp_path / "db", [videos[0]] * 8)
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, **random})) as reader:
        widths = {int(np.unique(clip[0, 0, 50]).size) for clip in reader.next_batch().data}
    assert len(widths) > 1  # the ramp is steeper where the video is smaller


def read_some(path, batches, **changes):
    """The records and the clips of so many batches, and the position after them."""
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, **AUGMENTED, **changes})) as reader:
        found = [reader.next_batch() for _ in range(batches)]
        records = [int(record) for batch in found for record in batch.record_index]
        return records, np.concatenate([batch.data for batch in found]), reader.position


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


def test_jitter_scales_without_a_short_edge_change_nothing(videos, tmp_path):
    path = make(tmp_path / "db", videos[:2])
    for kind in (0, 2):
        plain = read_some(path, 2, video_res_type=kind, jitter_scales=[])
        assert np.array_equal(read_some(path, 2, video_res_type=kind, jitter_scales=[64, 160])[1], plain[1])


def test_a_bad_video_stops_with_its_key_path_and_reason(videos, tmp_path):
    paths = [tmp_path / "good.mp4", tmp_path / "text.mp4"]
    paths[0].write_bytes(videos[0])
    paths[1].write_text("no video\n" * 300)
    path = make(tmp_path / "db", [str(entry).encode() for entry in paths])
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, "use_local_file": True})) as reader:
        assert reader.next_batch().keys == ["00"]
        for _ in range(2):  # and it stays stopped
            with pytest.raises(BadVideoError) as caught:
                reader.next_batch()
            message = str(caught.value)
            assert message.startswith(f"record 01 of {path} ({paths[1]}): not a video that can be opened (")
            assert message.endswith(
                "; leave such videos out with --on_bad_video=skip, or check the list with create_video_db.py --check"
            )


def test_skipped_videos_are_listed_once_and_the_batch_is_filled_from_the_next(videos, tmp_path):
    contents = [videos[0], b"text" * 1000, videos[2], videos[3], b"", videos[5]]
    path = make(tmp_path / "db", contents)
    batches, skipped = read_all(path, batch_size=2, on_bad_video="skip")
    assert [batch.keys for batch in batches] == [["00", "02"], ["03", "05"]]
    assert [(video.key, video.path) for video in skipped] == [("01", None), ("04", None)]
    assert skipped[1].reason == "it is empty"
    clean, _ = read_all(make(tmp_path / "clean", [videos[n] for n in (0, 2, 3, 5)]), batch_size=2)
    assert np.array_equal(np.concatenate([b.data for b in batches]), np.concatenate([b.data for b in clean]))
    with ClipReader(path, VideoInputArgs.from_mapping({**BASE, "on_bad_video": "skip"})) as reader:
        keys = [reader.next_batch().keys[0] for _ in range(9)]
        assert keys == ["00", "02", "03", "05", "00", "02", "03", "05", "00"]
        assert len(reader.skipped) == 2


@pytest.mark.parametrize("wrap_around", [0, 1])
def test_a_database_of_bad_videos_only_is_an_error_even_when_skipping(wrap_around, tmp_path):
    path = make(tmp_path / "db", [b"text" * 1000] * 3)
    args = VideoInputArgs.from_mapping({**BASE, "on_bad_video": "skip", "wrap_around": wrap_around})
    with (
        ClipReader(path, args) as reader,
        pytest.raises(VmzError, match=r"no video of .* can be read; the last one is"),
    ):
        reader.next_batch()


def test_labels_ids_and_start_frames(videos, tmp_path):
    with DatabaseWriter(tmp_path / "db") as writer:
        writer.write(Record(b"0", videos[0], (1, 4, 4), start_frame=3, video_id=12345678901))
    several = {"do_multi_label": 1, "num_of_class": 5, "get_video_id": 1}
    (batch,), _ = read_all(tmp_path / "db", **several, clip_per_video=2)
    assert batch.label.tolist() == [[0, 1, 0, 0, 1]] * 2
    assert batch.video_id.tolist() == [12345678901] * 2
    (batch,), _ = read_all(tmp_path / "db", decode_type=2, get_start_frame=1)
    assert (batch.start_frame.tolist(), batch.start_frame.dtype, batch.label.tolist()) == ([3], "i4", [1])
    (whole,), _ = read_all(tmp_path / "db", clip_start_positions=[3])
    assert np.array_equal(batch.data, whole.data)


def test_what_the_database_lacks_stops_even_when_skipping(videos, tmp_path):
    path = make(tmp_path / "db", videos[:1] * 8)
    for changes, message in (
        ({"decode_type": 2}, "record 00 of .* has no start frame"),
        ({"get_video_id": 1}, "record 00 of .* has no video id"),
        (
            {"do_multi_label": 1, "num_of_class": 3, "batch_size": 8},
            "has the labels 3, but num_of_class=3 allows 0 to 2",
        ),
    ):
        args = VideoInputArgs.from_mapping({**BASE, **changes, "on_bad_video": "skip"})
        with ClipReader(path, args) as reader, pytest.raises(VmzError, match=message):
            reader.next_batch()


def test_paths_taken_for_bytes_and_bytes_for_paths_are_told(videos, tmp_path):
    (tmp_path / "vidéo 1.mp4").write_bytes(videos[0])
    for content, local, message in (
        (videos[0], 1, "/db1 contains the bytes of videos, not paths; give --use_local_file=0"),
        (
            str(tmp_path / "vidéo 1.mp4").encode(),
            0,
            r"/db0 contains paths of videos, .*/vidéo 1.mp4.*; give --use_local_",
        ),
    ):
        path = make(tmp_path / f"db{local}", [content])
        args = VideoInputArgs.from_mapping({**BASE, "use_local_file": local})
        with pytest.raises(UsageError, match=message):
            ClipReader(path, args)


def test_it_reads_a_batch_ahead_and_closing_ends_the_threads(videos, tmp_path):
    before = threading.active_count()
    reader = ClipReader(make(tmp_path / "db", videos), VideoInputArgs.from_mapping({**BASE, "batch_size": 2}))
    reader.next_batch()
    assert len(reader._pending) >= 2
    reader.close()
    reader.close()
    assert threading.active_count() == before
    with pytest.raises(VmzError, match="closed"):
        reader.next_batch()


def test_clips_stay_as_they_were_while_reading_goes_on(videos, tmp_path):
    with ClipReader(make(tmp_path / "db", videos), VideoInputArgs.from_mapping(BASE)) as reader:
        first = reader.next_batch().data
        copy = first.copy()
        for _ in range(6):
            reader.next_batch()
        assert np.array_equal(first, copy)


def test_memory_stays_bounded(tmp_path):
    """A long video: frames that no clip takes are not kept, neither as decoded (276 MB) nor as RGB (553 MB)."""
    path = make(tmp_path / "db", [encode(tmp_path / "long.mp4", 600, size=(640, 480))])
    script = f"""
import resource
from vmz.video.arguments import VideoInputArgs
from vmz.video.reader import ClipReader
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
reader = ClipReader({str(path)!r}, VideoInputArgs.from_mapping({ ({**BASE, "clip_per_video": 2, "wrap_around": 0})!r}))
before = peak()
reader.next_batch()
reader.close()
print(peak() - before)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 60


# What the original does with each is in golden/reader/faulty_inputs.json; here is what a person is told instead.
GOOD = "arm_wrestling.mp4"
FAULTS = {
    "good_then_short_then_good": ([GOOD, "five_frames.mp4", "bikes.mp4"], {}, "5 frames, but 8 are needed"),
    "short_first": (["five_frames.mp4", GOOD], {}, "5 frames, but 8 are needed"),
    "batch2_good_short": ([GOOD, "five_frames.mp4", GOOD, GOOD], {}, "5 frames, but 8 are needed"),
    "corrupted_8x1": (["corrupted.mp4"], {}, None),
    "corrupted_16x1": ([GOOD, "corrupted.mp4"], {}, None),
    "corrupted_32": ([GOOD, "corrupted.mp4"], {}, r"28 frames \(decoding ended there: .*but 32 are needed"),
    "missing_file": ([GOOD, b"/nonexistent/a.mp4"], {}, r"\(/nonexistent/a.mp4\): cannot read the file \(No such file"),
    "missing_file_first": ([b"/nonexistent/a.mp4", GOOD], {}, r"\(/nonexistent/a.mp4\): cannot read the file"),
    "empty_bytes": ([GOOD, b""], {}, "it is empty"),
    "garbage_100B": ([GOOD, bytes(range(100))], {}, "not a video that can be opened"),
    "garbage_5KB": ([GOOD, bytes(range(250)) * 20], {}, "not a video that can be opened"),
    "truncated_half": ([GOOD, ("half", GOOD)], {}, "not a video that can be opened"),
    "truncated_2KB": ([GOOD, ("2KB", GOOD)], {}, "not a video that can be opened"),
    "no_start_frm_in_record": ([GOOD], {}, "has no start frame"),
    "no_video_id_in_record": ([GOOD], {}, "has no video id"),
    "video_id_but_decode1_with_startfrm_record": ([GOOD], {"start_frame": 3, "video_id": 9}, None),
    "crop_larger_than_scale": ([GOOD], {}, "scale_h=100"),
    "short_edge_smaller_than_crop": ([GOOD], {}, "short_edge=100"),
    "clip2_decode2": ([GOOD], {}, "clip_per_video=2"),
    "multilabel_out_of_range": ([GOOD], {"labels": (1, 50)}, "has the labels 1, 50, but num_of_class=10 allows 0 to 9"),
    "multilabel_no_num_class": ([GOOD], {}, "num_of_class"),
    "crop3_with_random_crop": ([GOOD], {}, "crop_per_clip=3"),
    "rotated_90_3frames": (["rotate_90.mov"], {}, None),
    "start_beyond_end": ([GOOD], {"start_frame": 5000, "video_id": 1}, "0 frames from its start frame on, but 8"),
    "start_negative": ([GOOD], {"start_frame": -5, "video_id": 1}, None),
    "two_frames_short_of_end": ([GOOD], {"start_frame": 274}, "6 frames from its start frame on, but 8 are needed"),
    "jitter_with_res0": ([GOOD], {}, None),  # train_net writes jitter_scales into every net
    "no_length": ([GOOD], {}, "length_rgb=0"),
    "clip_start_positions_out_of_range": ([GOOD], {}, "280 frames, but 408 are needed"),
}


def content_of(entry):
    if isinstance(entry, tuple):
        whole = video_path(entry[1]).read_bytes()
        return whole[: len(whole) // 2] if entry[0] == "half" else whole[:2048]
    return entry if isinstance(entry, bytes) else video_path(entry).read_bytes()


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_inputs_end_in_a_sentence(name, tmp_path):
    golden = json.loads(golden_path("reader/faulty_inputs.json").read_text())
    assert set(golden) == set(FAULTS)
    entries, held, message = FAULTS[name]
    arguments = {**BASE, "scale_h": 128, **golden[name]["args"], "wrap_around": 0}
    local = arguments.get("use_local_file")
    contents = [str(video_path(e)).encode() if local and isinstance(e, str) else content_of(e) for e in entries]
    path = tmp_path / "db"
    with DatabaseWriter(path) as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%d" % number, content, **{"labels": (number,), **held}))

    def run(**changes):
        with ClipReader(path, VideoInputArgs.from_mapping({**arguments, **changes})) as reader:
            rows = 0
            try:
                while True:
                    rows += len(reader.next_batch().keys)
            except EndOfData:
                return rows, len(reader.skipped)

    if message is None:
        assert run() == (len(entries), 0)
        return
    with pytest.raises(VmzError, match=message) as caught:
        run()
    assert "\n" not in str(caught.value)
    if isinstance(caught.value, BadVideoError) and len(entries) > 1:
        assert run(on_bad_video="skip") == (len(entries) - 1, 1)
    else:  # the request or the database is wrong, or nothing would be left: skipping does not hide it
        with pytest.raises((UsageError, VmzError)):
            run(on_bad_video="skip")
