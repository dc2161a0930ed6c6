"""Records made to open other things, to take all memory or to stop their reader: the same sentences on both engines."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engines.real_caffe2 import ENGINES, HAS_OPERATORS
from tests.engines.test_net_reader import outcome
from tests.support.hostile_videos import (
    PLAYLISTS,
    listening,
    of_format,
    of_references,
    playlist,
    png,
    slow_jpeg,
    with_reference,
)
from tests.support.small_videos import SMALL_READER, video
from tests.support.sound_videos import Tone, sound_video
from vmz.engines.net_reader import open_reader
from vmz.errors import VmzError
from vmz.video.arguments import VideoInputArgs
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.frames.decoding import MAX_PIXELS

IMAGES = {"image_as_input": 1, "length_rgb": 1}


def database(folder: Path, *contents: bytes) -> Path:
    with DatabaseWriter(folder / "db") as writer:
        for number, content in enumerate(contents):
            writer.write(Record(b"%02d" % number, content, (number,)))
    return folder / "db"


def left_out(path: Path, engine: str, **arguments: Any) -> list[str]:
    """Why records were left out; the other engine says the same."""
    found = outcome(path, {**arguments, "on_bad_video": "skip"}, engine)
    assert found[1] == "" and found[0], found
    if HAS_OPERATORS and engine == "caffe2":
        assert outcome(path, {**arguments, "on_bad_video": "skip"}, "pytorch") == found
    return found[2]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_names_other_files_is_refused_by_name_and_opens_nothing(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where a list would find F
    real = tmp_path / "real.mp4"
    good = video(real, 1)
    with listening() as (address, port, came):
        contents = {name: playlist(name, address, port, real) for name in PLAYLISTS}
        contents["HLS in UTF-16"] = playlist("HLS of files", address, port, real).decode().encode("utf-16")
        contents["DASH behind blanks"] = b"\n\n  " + playlist("DASH", address, port, real)
        path = database(tmp_path, good, *contents.values())
        reasons = left_out(path, engine)
        assert came == []
    kinds = [*(kind for kind, _ in PLAYLISTS.values()), "an HLS or M3U playlist", "a DASH manifest"]
    assert len(reasons) == len(kinds)
    for number, (kind, reason) in enumerate(zip(kinds, reasons), 1):
        wanted = f"record {number:02d}: not a video that can be opened (it is {kind}, not a video)"
        assert reason == wanted, list(contents)[number - 1]


@pytest.mark.parametrize("engine", ENGINES)
def test_the_http_server_of_these_tests_hears_a_request(engine):
    import urllib.request

    with listening() as (address, _, came):
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{address}/x", timeout=5)
        assert came == ["GET /x"]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_address_in_place_of_a_path_is_the_name_of_a_file(engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    real = tmp_path / "real.mp4"
    video(real, 1)
    with listening() as (address, port, came):
        odd = [
            f"{address}/a.mp4",
            f"udp://127.0.0.1:{port}",
            f"file:{real}",
            f"concat:{real}|{real}",
            "pipe:0",
            "data:,a",
        ]
        odd += ["subfile,,start,0,end,9,,:real.mp4", "frame%05d.png", "/dev/video0", "lavfi", "rtsp://127.0.0.1/a"]
        values = [str(real), *odd]
        path = database(tmp_path, *(os.fsencode(value) for value in values))
        reasons = left_out(path, engine, use_local_file=1)
        assert came == []
    assert len(reasons) == len(odd)
    assert all("cannot read the file (No such file or directory)" in reason for reason in reasons)


@pytest.mark.parametrize("engine", ENGINES)
def test_pipes_devices_sockets_and_folders_are_no_videos(engine, tmp_path):
    real, pipe, endpoint = tmp_path / "real.mp4", tmp_path / "pipe.mp4", tmp_path / "socket.mp4"
    video(real, 1)
    os.mkfifo(pipe)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(endpoint))
        paths = [real, pipe, "/dev/null", "/dev/zero", tmp_path, endpoint]
        reasons = left_out(database(tmp_path, *(os.fsencode(path) for path in paths)), engine, use_local_file=1)
    assert len(reasons) == 5
    assert all("cannot read the file (it is not a regular file)" in reason for reason in reasons[:4])
    assert "cannot read the file (No such device or address)" in reasons[4]


@pytest.mark.parametrize("engine", ENGINES)
def test_pictures_of_another_file_are_not_read(engine, tmp_path):
    good = video(tmp_path / "a.mp4", 1)
    sounding = sound_video([Tone()])
    others = [
        with_reference(good),
        with_reference(good, b"alis", b"\0" * 150),
        with_reference(good, b"urn ", b"a\0b\0"),
        with_reference(sounding, track=0),
        of_references(),
    ]
    inside = with_reference(good, b"url ", b"")  # without a location it is this file
    silent = with_reference(sounding, track=1)  # its pictures are here, and nobody asks for the sound
    reasons = left_out(database(tmp_path, good, inside, silent, *others), engine)
    wanted = "not a video that can be opened (its pictures are in another file, which is not opened)"
    assert reasons == [f"record {number:02d}: {wanted}" for number in range(3, 8)]


PLAIN = {
    "mp4": "mpeg4", "mov": "mpeg4", "3gp": "h263", "matroska": "mpeg4", "webm": "libvpx", "avi": "mpeg4",
    "mpegts": "mpeg2video", "mpeg": "mpeg1video", "vob": "mpeg2video", "mpeg1video": "mpeg1video",
    "mpeg2video": "mpeg2video", "flv": "flv", "asf": "msmpeg4v3", "h264": "libx264", "m4v": "mpeg4", "mjpeg": "mjpeg",
    "yuv4mpegpipe": "rawvideo", "ivf": "libvpx", "gif": "gif", "ogg": "libtheora",
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_plain_containers_are_read(engine, tmp_path):
    contents = []
    for name, codec in PLAIN.items():
        try:
            contents.append(of_format(name, codec, size=(176, 144)))
        except ValueError:  # an encoder that this build of FFmpeg lacks
            assert codec == "libtheora"
    path = database(tmp_path, *contents)
    assert outcome(path, {}, engine)[:2] == (list(range(len(contents))), "")


@pytest.mark.parametrize("engine", ENGINES)
def test_other_formats_are_refused(engine, tmp_path):
    contents = [of_format("nut", "mpeg4"), of_format("swf", "flv")]
    reasons = left_out(database(tmp_path, of_format("mp4", "mpeg4"), *contents), engine)
    assert reasons[0] == "record 01: not a video that can be opened (it is a NUT file, not a video)"
    assert reasons[1].startswith(
        "record 02: not a video that can be opened (its format is not one of those supported: MP4"
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_pictures_are_of_so_many_pixels_at_most(engine, tmp_path):
    path = database(tmp_path, png(64, 64), png(16200, 16200), png(8192, 8193))
    before = memory_mib()
    reasons = left_out(path, engine, **IMAGES)
    wanted = f"its video stream states no picture size, or more than the {MAX_PIXELS} pixels (max_pixels) that are read"
    assert reasons == [f"record {number:02d}: {wanted}" for number in (1, 2)]
    assert memory_mib() < before + 500


def memory_mib() -> float:
    """The most memory that this process had so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("engine", ENGINES)
def test_frames_do_not_become_more(engine, tmp_path):
    thin = of_format("avi", "mjpeg", size=(8, 4000))
    path = database(tmp_path, of_format("avi", "mjpeg", size=(64, 64)), thin)
    reasons = left_out(path, engine, video_res_type=1, short_edge=2000, crop_size=32)
    size = "2000x1000000"
    assert reasons == [
        f"record 01: its frames become {size}, more than the {MAX_PIXELS} pixels (max_pixels) that are read"
    ]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_decoder_that_makes_no_progress_is_left_behind(engine, tmp_path):
    """A picture of many scans: one call of the decoder, which nothing in it ends."""
    bomb = slow_jpeg(4096, 12_000)
    path = database(tmp_path, png(64, 64), bomb, png(64, 64))
    begun = time.monotonic()
    found = outcome(path, {**IMAGES, "on_bad_video": "skip", "video_timeout": 1}, engine)
    assert time.monotonic() - begun < 15
    assert found[:2] == ([0, 2], "")
    assert found[2] == [
        "record 01: it gave no new frame for 1 seconds; such a file is most often made to stop its reader "
        "(--video_timeout=1)"
    ]
    stopped = outcome(path, {**IMAGES, "video_timeout": 1}, engine)
    assert stopped[1].startswith(f"record 01 of {path}: it gave no new frame for 1 seconds")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_damaged_database_is_one_sentence(engine, tmp_path):
    path = database(tmp_path, *([b"no video" * 1000] * 40))
    data = path / "data.mdb"
    content = data.read_bytes()
    leaf = next(at for at in range(8192, len(content), 4096) if content[at + 10] == 2)
    without_leaf = content[:leaf] + bytes(4096) + content[leaf + 4096 :]
    damages = {
        content[: leaf + 100]: f"is truncated: {leaf + 100} bytes of {len(content)}",
        without_leaf: f"is damaged: page {leaf // 4096} is not the leaf that it should be",
        b"": "is not an LMDB: it is empty",
    }
    for damaged, wanted in damages.items():
        data.write_bytes(damaged)
        assert outcome(path, {}, engine) == ([], f"{data} {wanted}; copy it or create it again", [])
    data.unlink()
    os.mkfifo(data)
    assert outcome(path, {}, engine) == ([], f"cannot read {data}: it is not a regular file", [])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_database_that_is_cut_off_while_it_is_read(engine, tmp_path):
    """A map of it would end the process here."""
    path = database(tmp_path, *(video(tmp_path / f"{number}.mp4", number, frames=40) for number in range(30)))
    args = VideoInputArgs.from_mapping({**SMALL_READER, "wrap_around": 0})
    with open_reader(str(path), args, engine) as reader:
        reader.next_batch()
        os.truncate(path / "data.mdb", 8192)
        with pytest.raises(VmzError, match=r"data\.mdb has changed while it was read; run again when nothing"):
            for _ in range(30):
                reader.next_batch()
