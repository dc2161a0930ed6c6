import os
import subprocess
import sys
import threading
import weakref

import av
import numpy as np
import pytest

from tests.support.collector import without_collector
from tests.support.optionals import present
from tests.video.reader.small_databases import BASE, encode, make, read_all, read_some
from vmz.errors import UsageError, VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.reader import BadVideoError, ClipReader, EndOfData


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


def test_a_closed_reader_gives_its_memory_back_at_once(videos, tmp_path):
    """Not when Python's collector comes by: each new reader took the memory of a batch more until then."""
    path = make(tmp_path / "db", videos)

    def memory_of_a_batch():
        with ClipReader(path, VideoInputArgs.from_mapping({**BASE, "batch_size": 8, "wrap_around": 0})) as reader:
            held = weakref.ref(present(present(reader.next_batch().data).base))
            with pytest.raises(EndOfData):
                reader.next_batch()
            with pytest.raises(EndOfData):  # again
                reader.next_batch()
        with pytest.raises(VmzError, match="the reader is closed"):
            reader.next_batch()
        reader.close()
        return held

    with without_collector():
        assert memory_of_a_batch()() is None


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
        clips = {present(reader.next_batch().data).tobytes() for _ in range(200)}
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
        first = present(reader.next_batch().data)[:, 0, 0, 0, 0] * 58.1489 + 110.201
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
        widths = {int(np.unique(clip[0, 0, 50]).size) for clip in present(reader.next_batch().data)}
    assert len(widths) > 1  # the ramp is steeper where the video is smaller


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
        first = present(reader.next_batch().data)
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
