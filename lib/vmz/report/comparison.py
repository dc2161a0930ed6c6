"""The page of two engines compared: one bar a blob, on a logarithmic scale."""

from __future__ import annotations

import math

from vmz.report.page import counted, render
from vmz.results.comparison import Comparison
from vmz.versions import versions

LOWEST, HIGHEST = -9, 0  # powers of ten shown


def page(comparison: Comparison) -> str:
    """HTML: the blobs in the order of the net, those beyond the tolerance (of a blob's largest value) marked."""
    blobs, beyond, tolerance = comparison.blobs, comparison.beyond, comparison.tolerance
    verdict = (
        f"{len(beyond)} of {counted(len(blobs), 'blob')} {'differs' if len(beyond) == 1 else 'differ'} by more than "
        f"{tolerance:g}; the first is {beyond[0].blob}"
        if beyond
        else f"{'All ' if len(blobs) > 1 else ''}{counted(len(blobs), 'blob')} "
        f"{'agree' if len(blobs) > 1 else 'agrees'} within {tolerance:g} of {'their' if len(blobs) > 1 else 'its'} "
        f"largest value"
    )
    rows = [
        {
            "entry": entry,
            "place": _place(entry.relative),
            "beyond": comparison.is_beyond(entry),
            "sort": [value if math.isfinite(value) else 1e30 for value in (entry.relative, entry.absolute)],
        }
        for entry in blobs
    ]
    return render(
        "comparison.html",
        kind="Comparison",
        title=f"Caffe2 and PyTorch: {comparison.network}",
        verdict=verdict,
        remarks=comparison.remarks,
        environment={"engine": "caffe2, pytorch", "device": "cpu", **versions()},
        rows=rows,
        limit=_place(tolerance),
        tolerance=tolerance,
        range=(LOWEST, HIGHEST),
    )


def _place(value: float) -> float:
    """Where a difference lies on the scale, from 0 to 1."""
    power = math.log10(value) if 0 < value < math.inf else (LOWEST if value == 0 else HIGHEST)
    return (min(max(power, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)
