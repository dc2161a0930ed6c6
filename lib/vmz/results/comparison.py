"""The result of a comparison: two engines, one NetDef, blob by blob."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from vmz.text import counted
from vmz.video.faults import EndedEarly, WithoutSound, closing_line, silent_line

CONSEQUENCE = "its clips come from the frames before"  # of a video that ended early


@dataclass(frozen=True)
class BlobDifference:
    """One blob: the largest absolute difference, and that over the blob's largest value (`scale`).

    kind: the type of the operator that computes it.
    """

    blob: str
    kind: str
    shape: tuple[int, ...]
    absolute: float
    scale: float

    @property
    def relative(self) -> float:
        return self.absolute / self.scale if self.scale else self.absolute

    @property
    def shape_text(self) -> str:
        """ "2x64x8", or "scalar"."""
        return "x".join(map(str, self.shape)) or "scalar"

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "relative": self.relative}


@dataclass(frozen=True)
class Comparison:
    """The result: every blob that was compared, in the order of the net.

    network: which it is, in words. tolerance: the relative difference from which on a blob counts as different.
    seconds: wall time of each engine, by its name. ended_early: videos of the clips whose reading stopped early.
    without_sound: videos whose log-mels are zeros.
    """

    network: str
    blobs: Sequence[BlobDifference]
    tolerance: float
    seconds: Mapping[str, float]
    ended_early: Sequence[EndedEarly] = ()
    without_sound: Sequence[WithoutSound] = ()

    def is_beyond(self, entry: BlobDifference) -> bool:
        """Whether a blob differs by more than the tolerance; one whose difference is not a number does."""
        return not entry.relative <= self.tolerance

    @property
    def beyond(self) -> list[BlobDifference]:
        """The blobs beyond the tolerance, in the order of the net."""
        return [entry for entry in self.blobs if self.is_beyond(entry)]

    @property
    def remarks(self) -> list[str]:
        """What to know of the clips that were compared."""
        return [*filter(None, (closing_line(self.ended_early, CONSEQUENCE), silent_line(self.without_sound)))]

    def first_beyond(self) -> Optional[BlobDifference]:
        """The first blob, in the order of the net, that is beyond the tolerance; None where all agree."""
        return next(iter(self.beyond), None)

    def lines(self) -> list[str]:
        """What compare_engines prints: a table of the blobs, the times, and at last the verdict."""
        seconds = ", ".join(f"{engine} {took:.1f} s" for engine, took in self.seconds.items())
        return [*self._table(), seconds, *self.remarks, self._verdict()]

    def to_json(self) -> dict[str, Any]:
        """As compare_engines' --output holds it."""
        return {
            "tolerance": self.tolerance,
            "blobs": [entry.to_json() for entry in self.blobs],
            "ended_early": [vars(video) for video in self.ended_early],
            "without_sound": [vars(video) for video in self.without_sound],
        }

    def _table(self) -> list[str]:
        width = max(len(entry.blob) for entry in self.blobs)
        lines = [f"{'blob':{width}}  {'op':20} {'shape':20} {'absolute':>10} {'relative':>10}"]
        for entry in self.blobs:
            mark = "  beyond" if self.is_beyond(entry) else ""
            lines.append(
                f"{entry.blob:{width}}  {entry.kind:20} {entry.shape_text:20} {entry.absolute:10.2e} "
                f"{entry.relative:10.2e}{mark}"
            )
        return lines

    def _verdict(self) -> str:
        count, first = len(self.blobs), self.first_beyond()
        if first is None:
            worst = max(self.blobs, key=lambda entry: entry.relative)
            within = f"equal: {'all ' if count > 1 else ''}{counted(count, 'blob')} within {self.tolerance:g}"
            return f"{within}; largest {worst.relative:.2e} at {worst.blob}"
        return (
            f"different: {len(self.beyond)} of {counted(count, 'blob')} beyond {self.tolerance:g}, the first is "
            f"{first.blob} "
            f"({first.kind})"
        )
