"""What packets tell of the frames, and what they do not tell for certain."""

from __future__ import annotations

from typing import Any

import pytest

from vmz.video.frames.timeline import PacketTimes, Timeline

# Two groups of pictures as they lie in the file: pts, dts, key frame or not.
PACKETS = [(0, -2, 1), (3, -1, 0), (1, 0, 0), (2, 1, 0), (4, 2, 1), (7, 3, 0), (5, 4, 0), (6, 5, 0)]


def timeline(packets: Any = PACKETS, codec: str = "h264", form: str = "yuv420p", **changes: Any) -> Timeline:
    told = [PacketTimes(pts, dts, bool(key), True, True, 100) for pts, dts, key in packets]
    for place, change in changes.items():
        told[int(place[1:])] = told[int(place[1:])]._replace(**change)
    return Timeline(told, codec, form)


def test_frames_and_where_to_seek() -> None:
    found = timeline()
    assert (found.frames, found.times) == (8, list(range(8)))
    assert found.seek_points(6) == [4, 2, 0, -2] and found.seek_points(3) == [0, -2]
    assert found.seek_points(8) == found.seek_points(-1) == []
    assert found.frame_at(4, 6) == 4 and found.frame_at(0, 6) == 0
    assert found.frame_at(4, 3) is found.frame_at(3, 6) is found.frame_at(None, 6) is None


def test_the_first_packets_of_matroska_have_no_dts() -> None:
    found = timeline(p0={"dts": None}, p1={"dts": None})
    assert found.times == list(range(8)) and found.frame_at(0, 3) == 0
    assert found.seek_points(6) == [4, 2, 0] and found.seek_points(3) == [0]


def test_frames_that_an_edit_list_cuts_away_do_not_count() -> None:
    cut = timeline(p0={"shown": False}, p2={"shown": False}, p3={"shown": False})
    assert (cut.frames, cut.times) == (5, [3, 4, 5, 6, 7])
    assert cut.seek_points(0) == [] and cut.seek_points(1) == [4, 2]


def test_decoding_cannot_begin_where_later_frames_lie_before() -> None:
    assert timeline([*PACKETS[:4], (4, 2, 0), (9, 3, 0), (6, 4, 1), (7, 5, 0)]).seek_points(5) == [0, -2]


@pytest.mark.parametrize(
    "what",
    [
        {"p3": {"pts": None}},
        {"p3": {"dts": None}},
        {"p3": {"pts": 1}},
        {"p3": {"dts": 0}},
        {"p0": {"key": False}},
        {"p2": {"pts": -1}},
        {"p3": {"whole": False}},
        {"codec": "vp8"},
        {"codec": "mpeg4", "p3": {"size": 7}},
        {"form": "pal8"},
        {"packets": []},
        {"packets": [(pts, None, key) for pts, _, key in PACKETS]},
        {"p0": {"dts": None}, "p1": {"dts": None}, "p3": {"dts": None}},
    ],
)
def test_what_is_not_certain(what: dict[str, Any]) -> None:
    found = timeline(**what)
    assert found.times is None and found.seek_points(0) == [] and found.frame_at(0, 0) is None
