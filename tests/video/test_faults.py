from __future__ import annotations

from vmz.video.faults import (
    BadVideo,
    EndedEarly,
    WithoutSound,
    bounded,
    closing_line,
    printable,
    record_name,
    shown_path,
    silent_line,
)


def test_a_record_is_named_by_all_that_is_known() -> None:
    assert record_name("29") == "record 29"
    assert record_name("29", "val", "a.mp4") == "record 29 of val (a.mp4)"
    assert record_name("29", "", "a.mp4", 12, "val.csv") == "record 29 (a.mp4, line 12 of val.csv)"
    assert str(BadVideo("29", None, "it is short")) == "record 29: it is short"
    assert BadVideo("29", "a.mp4", "it is short").sentence("val") == "record 29 of val (a.mp4): it is short"
    assert str(EndedEarly("3", "a.mp4", 1, "why", 2, "l.csv")) == "record 3 (a.mp4, line 2 of l.csv) after 1 frame: why"
    assert str(EndedEarly("3", None, None, "why")) == "record 3: why"


def test_the_closing_line_is_bounded() -> None:
    assert closing_line([], "scored") == ""
    one = EndedEarly("3", None, 7, "why")
    assert closing_line([one], "scored") == "1 video ended early (scored): record 3 after 7 frames: why"
    line = closing_line([one] * 8, "scored", "--output lists them")
    assert line.startswith("8 videos ended early (scored): record 3") and line.count("record") == 5
    assert line.endswith("; and 3 more (--output lists them)")
    assert bounded("2 left out", ["a", "b"]) == "2 left out: a; b"


def test_no_bytes_reach_a_person() -> None:
    assert printable(b"v\xc3\xad\xff\x00\n.mp4") == "ví\\xff\\x00\\x0a.mp4"
    assert printable("v\udcff") == "v\\xff" and printable("plain") == "plain"
    shown = shown_path(b"/a" * 5000)
    assert shown.endswith("/a...") and len(shown) == 303


def test_the_line_on_videos_without_sound() -> None:
    assert silent_line([]) == ""
    one = WithoutSound("3", "a.mp4", "it has no audio stream")
    assert silent_line([one]) == (
        "1 video without sound (its log-mels are zeros): record 3 (a.mp4): it has no audio stream"
    )
    line = silent_line([one] * 7, "--output lists them all")
    assert line.startswith("7 videos without sound (their log-mels are zeros): record 3 (a.mp4): ")
    assert line.endswith("; and 2 more (--output lists them all)")
