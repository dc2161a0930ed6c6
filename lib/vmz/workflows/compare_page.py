"""The comparison of two engines as a self-contained page: one bar a blob on a logarithmic scale, and the table."""

from __future__ import annotations

import math
from html import escape

from vmz.workflows.compare import BlobDifference

LOWEST, HIGHEST = -9, 0  # powers of ten shown
ROW, LEFT, WIDTH = 14, 230, 640

STYLE = """
body{font:14px system-ui,sans-serif;margin:1rem auto;max-width:960px;padding:0 .7rem;color:#222;background:#fff}
svg{width:100%;height:auto} text{font:10px ui-monospace,monospace;fill:#333}
.scroll{overflow-x:auto} table{border-collapse:collapse;font:12px ui-monospace,monospace}
td,th{padding:2px 8px;text-align:right;white-space:nowrap} td:first-child,th:first-child{text-align:left}
.beyond{color:#b00020;font-weight:bold}
"""


def page(found: list[BlobDifference], tolerance: float, title: str) -> str:
    """HTML, no script and no network: `found` in the order of the net."""
    beyond = [entry for entry in found if not entry.relative <= tolerance]
    verdict = (
        f"{len(beyond)} of {len(found)} blobs differ by more than {tolerance:g}; the first is {escape(beyond[0].blob)}"
        if beyond
        else f"all {len(found)} blobs agree within {tolerance:g} of their largest value"
    )
    rows = "".join(
        f"<tr{_css(entry, tolerance)}><td>{escape(entry.blob)}</td><td>{escape(entry.kind)}</td>"
        f"<td>{'x'.join(map(str, entry.shape)) or 'scalar'}</td><td>{entry.absolute:.2e}</td>"
        f"<td>{entry.relative:.2e}</td></tr>"
        for entry in found
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Caffe2 and PyTorch: {escape(title)}</title><style>{STYLE}</style>"
        f"<h1>Caffe2 and PyTorch: {escape(title)}</h1><p>{verdict}.</p>{_chart(found, tolerance)}"
        '<div class="scroll"><table><tr><th>blob</th><th>op</th><th>shape</th><th>absolute</th><th>relative</th></tr>'
        f"{rows}</table></div></html>\n"
    )


def _css(entry: BlobDifference, tolerance: float) -> str:
    return "" if entry.relative <= tolerance else ' class="beyond"'


def _position(value: float) -> float:
    power = math.log10(value) if 0 < value < math.inf else (HIGHEST if value else LOWEST)
    return LEFT + WIDTH * (min(max(power, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)


def _chart(found: list[BlobDifference], tolerance: float) -> str:
    height = ROW * (len(found) + 2)
    parts = [f'<svg viewBox="0 0 {LEFT + WIDTH + 20} {height}" role="img" aria-label="relative differences">']
    for power in range(LOWEST, HIGHEST + 1):
        x = _position(10.0**power)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{ROW}" y2="{height}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.0f}" y="10" text-anchor="middle">1e{power}</text>')
    limit = _position(tolerance)
    parts.append(f'<line x1="{limit:.0f}" x2="{limit:.0f}" y1="{ROW}" y2="{height}" stroke="#b00020"/>')
    for number, entry in enumerate(found):
        y = ROW * (number + 1.5)
        colour = "#3366aa" if entry.relative <= tolerance else "#b00020"
        width = max(_position(entry.relative) - LEFT, 1)
        parts.append(f'<text x="{LEFT - 4}" y="{y + 8:.0f}" text-anchor="end">{escape(entry.blob)}</text>')
        parts.append(f'<rect x="{LEFT}" y="{y:.0f}" width="{width:.0f}" height="{ROW - 4}" fill="{colour}"/>')
    return "".join(parts) + "</svg>"
