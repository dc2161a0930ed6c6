from __future__ import annotations

import math

from vmz.report.comparison import page
from vmz.results.comparison import BlobDifference, Comparison


def compared(*relative: float, tolerance: float = 1e-4, network: str = "x") -> Comparison:
    blobs = [BlobDifference(f"blob_{n}", "Conv", (2, 3), value, 1.0) for n, value in enumerate(relative)]
    return Comparison(network, blobs, tolerance, {})


def test_the_first_blob_beyond_the_tolerance_is_named() -> None:
    html = page(compared(1e-9, 1e-3, 1e-2, network="r2d depth 10"))
    assert "2 of 3 blobs differ by more than 0.0001; the first is blob_1" in html
    assert html.count('<tr class="beyond">') == 2 and "Caffe2 and PyTorch: r2d depth 10" in html


def test_bars_are_logarithmic() -> None:
    html = page(compared(0.0, 1e-9, 10**-4.5, 1.0, 5.0, tolerance=1e-2))
    for width in ("0.00", "50.00", "100.00"):
        assert f"width:{width}%" in html


def test_what_is_not_finite_is_beyond() -> None:
    html = page(compared(math.inf, math.nan))
    assert "2 of 2 blobs differ" in html and 'data-sort="1e+30"' in html


def test_a_scalar_has_a_shape_too() -> None:
    assert "Conv scalar" in page(Comparison("x", [BlobDifference("loss", "Conv", (), 0.0, 1.0)], 1e-4, {}))
