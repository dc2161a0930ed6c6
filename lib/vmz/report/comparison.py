"""The page of two engines compared: one bar a blob, on a logarithmic scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from vmz.report.page import render

LOWEST, HIGHEST = -9, 0  # powers of ten shown


class Difference(Protocol):
    """What vmz.inspection.compare_engines.BlobDifference tells of a blob."""

    @property
    def blob(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def absolute(self) -> float: ...
    @property
    def relative(self) -> float: ...


def page(found: Sequence[Difference], tolerance: float, title: str, remarks: Sequence[str] = ()) -> str:
    """HTML: `found` in the order of the net, those beyond `tolerance` (of a blob's largest value) marked.

    remarks: lines to show above.
    """
    beyond = [entry for entry in found if not entry.relative <= tolerance]
    verdict = (
        f"{len(beyond)} of {len(found)} blobs differ by more than {tolerance:g}; the first is {beyond[0].blob}"
        if beyond
        else f"All {len(found)} blobs agree within {tolerance:g} of their largest value"
    )
    rows = [
        {
            "entry": entry,
            "shape": "x".join(map(str, entry.shape)) or "scalar",
            "place": _place(entry.relative),
            "beyond": not entry.relative <= tolerance,
            "sort": [value if math.isfinite(value) else 1e30 for value in (entry.relative, entry.absolute)],
        }
        for entry in found
    ]
    return render(
        "comparison.html",
        kind="Comparison",
        title=f"Caffe2 and PyTorch: {title}",
        verdict=verdict,
        remarks=remarks,
        rows=rows,
        limit=_place(tolerance),
        tolerance=tolerance,
        range=(LOWEST, HIGHEST),
    )


def _place(value: float) -> float:
    """Where a difference lies on the scale, from 0 to 1."""
    power = math.log10(value) if 0 < value < math.inf else (LOWEST if value == 0 else HIGHEST)
    return (min(max(power, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
