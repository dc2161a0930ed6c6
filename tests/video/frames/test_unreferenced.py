import av
import numpy as np
import pytest

from tests.goldens.recordings import SHARED, needs_shared
from vmz.video import clips
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.decoding import SeekError, Video
from vmz.video.frames.unreferenced import is_unreferenced, length_bytes

AVCC = bytes([1, 100, 0, 31, 0xFF, 0xE1, 0])  # lengths of four bytes
SLICE, REFERRED, KEY, PARAMETERS, SUPPLEMENT = b"\x01\x9a", b"\x41\x9a", b"\x65\x88", b"\x67\x64", b"\x06\x05"
LATER = b"\x01\x4a"  # a slice that does not begin a picture


def units(*parts, size=4):
    return b"".join(len(part).to_bytes(size, "big") + part for part in parts)


def test_how_lengths_are_stored():
    assert length_bytes("h264", AVCC) == 4
    assert length_bytes("h264", bytes([1, 100, 0, 31, 0xFD, 0xE1, 0])) == 2
    assert [
        length_bytes(*of) for of in (("h264", b"\0\0\0\1\x67abc"), ("hevc", AVCC), ("h264", None), ("h264", b"\1"))
    ] == [0] * 4


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (units(SLICE), True),
        (units(SUPPLEMENT, SLICE, LATER), True),
        (units(SLICE, size=2), False),
        (units(REFERRED), False),
        (units(SLICE, REFERRED), False),
        (units(KEY), False),
        (units(PARAMETERS, SLICE), False),
        (units(LATER), False),
        (units(SUPPLEMENT), False),
        (units(SLICE) + b"\0", False),
        (units(SLICE)[:-1], False),
        (b"\0\0\0\1\x01", False),
        (b"\xff\xff\xff\xff" + SLICE, False),
        (b"\x81\x9a".join((b"\0\0\0\2", b"")), False),  # the bit that must be 0
        (b"", False),
    ],
)
def test_only_whole_slices_that_nothing_refers_to(packet, expected):
    assert is_unreferenced(packet, 4) is expected


def encoded(path, frames=60):
    """H.264 with B frames to which nothing refers: noise that moves."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 512, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "3", "g": "25", "b-pyramid": "normal"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for number in range(frames):
            picture = np.ascontiguousarray(noise[:, 4 * number : 4 * number + 128])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def read(path, monkeypatch, leave_out, seed=0, **changes):
    """The clips of a video, how its reading went, and how many frames were decoded."""
    values = {"batch_size": 1, "clip_per_video": 3, "decode_type": 1, "length_rgb": 4, "scale_h": 64, "scale_w": 80,
              "crop_size": 56, "random_crop": 0, "random_mirror": 0}  # fmt: skip
    args = VideoInputArgs.from_mapping({**values, **changes})
    out = clips.Clips(np.zeros((args.rows, 3, args.length_rgb, 56, 56), np.float32))
    decoded = []
    note = Video._note
    with monkeypatch.context() as patched:
        patched.setattr(Video, "_note", lambda self, pts: (decoded.append(pts), note(self, pts)))
        if not leave_out:
            patched.setattr("vmz.video.frames.decoding.length_bytes", lambda codec, extradata: 0)
        reading = clips.read_clips(path, None, args, np.random.default_rng(seed), out)
    return out.data, reading, len(decoded)


@pytest.mark.parametrize(
    "changes", [{}, {"sampling_rate_rgb": 3}, {"clip_start_positions": (3, 20), "clip_per_video": 2}]
)
def test_clips_are_the_same_to_the_bit_with_fewer_frames_decoded(tmp_path, monkeypatch, changes):
    path = encoded(tmp_path / "a.mp4")
    found, reading, decoded = read(path, monkeypatch, True, **changes)
    expected, whole, all_of_them = read(path, monkeypatch, False, **changes)
    assert np.array_equal(found, expected) and reading == whole
    assert decoded < all_of_them or "clip_start_positions" in changes


def test_random_clips_are_the_same_to_the_bit_with_fewer_frames_decoded(tmp_path, monkeypatch):
    path, random = encoded(tmp_path / "a.mp4"), {"decode_type": 0, "clip_per_video": 1}
    fewer = 0
    for seed in range(8):
        found, reading, decoded = read(path, monkeypatch, True, seed, **random)
        expected, whole, all_of_them = read(path, monkeypatch, False, seed, **random)
        assert np.array_equal(found, expected) and reading == whole and decoded <= all_of_them
        fewer += all_of_them - decoded
    assert fewer >= 10


def test_a_video_that_ends_early_is_decoded_whole(tmp_path, monkeypatch):
    path = encoded(tmp_path / "a.mp4")
    content = bytearray((tmp_path / "a.mp4").read_bytes())
    with av.open(path) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        middle = packets[30]
        content[middle.pos : middle.pos + 4] = b"\0\0\0\0"  # no unit is of no length
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    found, reading, _ = read(str(broken), monkeypatch, True)
    expected, whole, _ = read(str(broken), monkeypatch, False)
    assert reading == whole and np.array_equal(found, expected)


def test_frames_that_are_not_those_of_the_packets_are_refused(tmp_path):
    with Video(encoded(tmp_path / "a.mp4")) as video:
        timeline = video.timeline(keep=True)
        timeline.times[10] += 1
        with pytest.raises(SeekError, match="a different frame than the packets state"):
            list(video.read_wanted(timeline, range(60)))


@needs_shared
@pytest.mark.parametrize("name", ["arm_wrestling.mp4", "nasa_13013.mp4", "bikes.mp4"])
def test_real_videos(monkeypatch, name):
    path = str(SHARED / "videos" / name)
    found, reading, decoded = read(path, monkeypatch, True, clip_per_video=10)
    expected, whole, all_of_them = read(path, monkeypatch, False, clip_per_video=10)
    assert np.array_equal(found, expected) and reading == whole
    assert decoded < 0.75 * all_of_them
