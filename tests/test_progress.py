from __future__ import annotations

import io
from typing import Optional

import pytest

from vmz.progress import Progress


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("vmz.progress.time.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def lines(clock: Clock, total: Optional[int], done: int = 0, quiet: bool = False) -> list[str]:
    """What a log shows of four updates of 25 clips, two seconds each; a line every second one."""
    stream = io.StringIO()
    with Progress(total, "clips", "reading", stream, every=2, done=done, quiet=quiet) as shown:
        for number in range(4):
            clock.now += 2
            shown.update(25, note=f"v{number}")
    return stream.getvalue().splitlines()


def test_a_line_says_the_rate_and_the_time_left(clock: Clock) -> None:
    assert lines(clock, total=100_100) == [
        "reading: 50/100100 clips, 12.50 clips/s, 2:13:24 left, v1",
        "reading: 100/100100 clips, 12.50 clips/s, 2:13:20 left, v3",
    ]


def test_what_was_done_before_does_not_count_for_the_rate(clock: Clock) -> None:
    assert lines(clock, total=1100, done=900)[0] == "reading: 950/1100 clips, 12.50 clips/s, 0:00:12 left, v1"


@pytest.mark.parametrize(("total", "shown"), [(None, "100"), (100, "100/100"), (80, "100/80")])
def test_no_time_is_left_at_the_end_and_none_known_without_a_total(
    clock: Clock, total: Optional[int], shown: str
) -> None:
    assert lines(clock, total)[-1] == f"reading: {shown} clips, 12.50 clips/s, v3"


def test_the_last_line_is_printed_once_and_always(clock: Clock) -> None:
    for every, wanted in ((1, [1, 2, 3]), (2, [2, 3]), (5, [3])):
        stream = io.StringIO()
        with Progress(3, "clips", "reading", stream, every=every) as shown:
            for _ in range(3):
                clock.now += 1
                shown.update()
        said = [line.partition(" clips")[0] for line in stream.getvalue().splitlines()]
        assert said == [f"reading: {done}/3" for done in wanted]


def test_the_time_that_is_left_of_the_whole_run(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(100, "clips", "epoch 1/3", stream, every=1, beyond=lambda: 60.0) as shown:
        for _ in range(2):
            clock.now += 2
            shown.update(50)
    assert stream.getvalue().splitlines() == [
        "epoch 1/3: 50/100 clips, 25.00 clips/s, 0:00:02 left, 0:01:02 left of the run",
        "epoch 1/3: 100/100 clips, 25.00 clips/s, 0:01:00 left of the run",
    ]


def test_bytes_are_megabytes_and_the_last_line_has_no_time_left(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(5_000_000, "B", "fetching x", stream, every=1) as shown:
        clock.now += 2
        shown.update(1_500_000)
        shown._every = 10
        shown.update(1_000_000)
    assert stream.getvalue().splitlines() == [
        "fetching x: 1.5/5.0 MB, 0.75 MB/s, 0:00:05 left",
        "fetching x: 2.5/5.0 MB, 1.25 MB/s",
    ]


def test_a_quiet_one_says_nothing(clock: Clock) -> None:
    assert lines(clock, total=100, quiet=True) == []


def test_nothing_done_is_no_rate(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress(10, "clips", "reading", stream):
        clock.now += 5
    assert stream.getvalue() == "reading: 0/10 clips, 0.00 clips/s\n"
