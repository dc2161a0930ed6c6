"""A bar with a rate on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Optional, TextIO, TypeVar

from tqdm import tqdm

from vmz.text import printable

T = TypeVar("T")
LINE_EVERY_SECONDS = 10.0


class Progress:
    """Counts `total` things named `unit`; `update(n, note)` as they are done. Writes to stderr, results go to stdout.

    In a log there is a line every `every` updates, or every ten seconds when that is not given, with the time that is
    left, as on the bar (bytes, unit "B", as MB), and one at the end, unless the last update had one. done: how many
    were so before, which the rate does not count. quiet: say nothing. beyond: gives the seconds that follow after this,
    of the whole run.
    """

    def __init__(
        self,
        total: Optional[int],
        unit: str,
        title: str,
        stream: Optional[TextIO] = None,
        every: Optional[int] = None,
        done: int = 0,
        quiet: bool = False,
        beyond: Optional[Callable[[], float]] = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._every, self._updates = every, 0
        self._total, self._unit, self._title = total, unit, title
        self._done = self._before = done
        self._quiet, self._beyond = quiet, beyond
        self._said: Optional[int] = None  # how many were done at the last line
        self._start = self._last_line = time.monotonic()
        self._bar = (
            tqdm(
                total=total,
                initial=done,
                unit=unit,
                unit_scale=unit == "B",
                desc=printable(title),
                file=getattr(self._stream, "terminal", self._stream),
                dynamic_ncols=True,
            )
            if self._stream.isatty() and not quiet
            else None
        )

    def update(self, count: int = 1, note: str = "") -> None:
        self._done += count
        if self._bar is not None:
            note = ", ".join(part for part in (note, self._of_run(self._rate())) if part)
            if note:
                self._bar.set_postfix_str(printable(note), refresh=False)
            self._bar.update(count)
        elif self._line_is_due():
            self._line(note)

    def _line_is_due(self) -> bool:
        self._updates += 1
        if self._every:
            return self._updates % self._every == 0
        return time.monotonic() - self._last_line >= LINE_EVERY_SECONDS

    def _line(self, note: str = "", last: bool = False) -> None:
        if self._quiet:
            return
        self._last_line, self._said = time.monotonic(), self._done
        rate = self._rate()
        scale, unit = (1e6, "MB") if self._unit == "B" else (1, self._unit)
        done, of = (
            "" if number is None else f"{number / scale:.1f}" if scale > 1 else str(number)
            for number in (self._done, self._total)
        )
        parts = [f"{self._title}: {done}{'/' if of else ''}{of} {unit}", f"{rate / scale:.2f} {unit}/s"]
        parts += [part for part in ("" if last else self._time_left(rate), note) if part]
        print(", ".join(parts), file=self._stream)

    def _rate(self) -> float:
        return (self._done - self._before) / max(time.monotonic() - self._start, 1e-9)

    def _seconds_left(self, rate: float) -> Optional[float]:
        """As the bar estimates it; None where it is not known."""
        if self._total is None:
            return None
        rest = max(self._total - self._done, 0)
        return rest / rate if rate else None if rest else 0.0

    def _time_left(self, rate: float) -> str:
        """Nothing where it is not known, or where all is done."""
        left = self._seconds_left(rate)
        parts = [f"{timedelta(seconds=round(left))} left"] if left else []
        return ", ".join([*parts, *([self._of_run(rate)] if self._of_run(rate) else [])])

    def _of_run(self, rate: float) -> str:
        left = self._seconds_left(rate)
        whole = 0.0 if self._beyond is None or left is None else left + self._beyond()
        return f"{timedelta(seconds=round(whole))} left of the run" if self._beyond is not None and whole >= 1 else ""

    def close(self) -> None:
        """End the bar, or print the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._said != self._done:
            self._line(last=self._beyond is None)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._bar is not None or kind is None:
            self.close()


def progress(items: Iterable[T], total: Optional[int], unit: str, title: str) -> Iterator[T]:
    """Iterate `items`, showing how far along."""
    with Progress(total, unit, title) as shown:
        for item in items:
            yield item
            shown.update()
