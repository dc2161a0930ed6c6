from bisect import bisect_left
from itertools import islice

import pytest

from tests.goldens.recordings import video_path
from tests.support.odd_video_checks import unreferenced
from tests.support.optionals import present
from vmz.video.frames.decoding import DecodingError, Video, _BestEffortClock


def test_what_the_container_states():
    with Video(str(video_path("arm_wrestling.mp4"))) as video:
        assert (video.width, video.height, video.duration, video.frames) == (340, 256, 143360, 280)
        assert video.has_times
    with Video(video_path("flipping_a_pancake.mkv").read_bytes()) as video:
        assert (video.duration, video.frames, video.has_times) == (0, 0, False)
        assert video.packets() == 310


def test_rotation_is_ignored():
    with Video(str(video_path("rotate_90.mov"))) as video:
        assert [(frame.width, frame.height) for frame, _ in video.read()] == [(568, 320)] * 3


def test_an_error_in_the_middle_ends_the_video_and_is_told():
    with Video(str(video_path("corrupted.mp4"))) as video:
        assert sum(1 for _ in video.read()) == 28
        assert "Invalid data" in present(video.ended_by)


def test_the_format_is_told_from_the_content_not_from_the_name(tmp_path):
    (tmp_path / "video.txt").write_bytes(video_path("h265.mp4").read_bytes())
    with Video(str(tmp_path / "video.txt")) as video:
        assert sum(1 for _ in video.read()) == 10
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile {video_path('h265.mp4')}\n")
    with pytest.raises(DecodingError):  # a text must not make the reader open other files
        next(Video(str(tmp_path / "list.mp4")).read())


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "it is empty"), (b"text\n" * 1000, "not a video"), (bytes(4096), "not a video")],
)
def test_what_is_no_video(content, reason):
    with pytest.raises(DecodingError, match=reason):
        Video(content)


def test_files_that_cannot_be_read(tmp_path):
    for path, reason in ((tmp_path / "none.mp4", "No such file"), (tmp_path, "not a regular file"), ("a\0b", "null")):
        with pytest.raises(DecodingError, match=f"cannot read the file .*{reason}"):
            Video(str(path))


def test_audio_only(tmp_path):
    import wave

    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    with pytest.raises(DecodingError, match="the file has no video stream"):
        Video(str(tmp_path / "a.wav"))


def test_best_effort_timestamps():
    clock = _BestEffortClock()
    # pts are good: they are taken, out of step with the dts or not
    assert [clock.timestamp(pts, dts) for pts, dts in ((0, -2), (2, -1), (4, 0))] == [0, 2, 4]
    # pts are absent, as after a seek in AVI: the dts are taken
    clock = _BestEffortClock()
    assert [clock.timestamp(None, dts) for dts in (5, 6, 7)] == [5, 6, 7]
    # pts go backwards more often than the dts do: the dts are taken
    clock = _BestEffortClock()
    assert [clock.timestamp(pts, dts) for pts, dts in ((10, 1), (9, 2), (8, 3))] == [10, 2, 3]
    assert _BestEffortClock().timestamp(None, None) is None


@pytest.mark.parametrize(("codec", "spared"), [("libx264", 10), ("mpeg4", 15), ("mpeg2video", 0), ("libx265", 0)])
def test_what_no_frame_refers_to_is_not_decoded_on_the_way(codec, spared, monkeypatch):
    decoded = []
    monkeypatch.setattr(Video, "_note", lambda video, timestamp: decoded.append(timestamp))
    with Video(unreferenced(codec, 80)) as video:
        timeline = video.timeline()
        times = present(timeline.times)
        for every in (False, True):
            decoded.clear()
            found = [frame.pts for frame in islice(video.read_from(timeline, 70, every), 5)]
            assert found == times[70:75]
            way = times[bisect_left(times, decoded[0]) : 70]
            left_out = len({*way} - {*decoded})
            wanted = 0 if every else spared
            assert len(way) >= 20 and left_out >= wanted and bool(left_out) == bool(wanted)
