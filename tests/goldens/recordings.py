"""Where the golden data lies: in tests/goldens/, and more of it in ../shared (or $VMZ_SHARED), where there is that.

tests/goldens/ holds what needs nobody's videos: nets, training runs, the reader on small synthetic videos. What lies in
../shared alone (recordings of real videos) makes a test skip where it is absent; with CI set the test fails instead.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

OWN = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("VMZ_SHARED", Path(__file__).resolve().parents[3] / "shared"))
GOLDEN = SHARED / "golden"
VIDEOS = SHARED / "videos"

used: set[str] = set()  # the golden files that this run has read

needs_shared = pytest.mark.skipif(
    not GOLDEN.is_dir() and not os.environ.get("CI"), reason=f"nothing at {SHARED}; set VMZ_SHARED to run this"
)


def golden_path(name: str) -> Path:
    """A golden file, as nets/index.json. The test is skipped where there is none (with CI set it fails)."""
    path = _first(f"the recording {name}", GOLDEN / name, OWN / name)
    used.add(name)
    return path


def golden_names(pattern: str) -> list[str]:
    """Names of the golden files that are here, as nets/net_000.json.gz for nets/*.gz; sorted."""
    return sorted({str(path.relative_to(root)) for root in (GOLDEN, OWN) for path in root.glob(pattern)})


def video_path(name: str) -> Path:
    """A golden video. The test is skipped where it is absent (with CI set it fails)."""
    places = (VIDEOS, *(root / reader for reader in ("reader", "av/reader") for root in (GOLDEN, OWN)))
    return _first(f"the video {name}", *(place / name for place in places))


def case_path(name: str) -> Path:
    """A file of ../shared/cases: input after a public bug report. Skipped and failed as the others."""
    return _first(f"the case {name}", SHARED / "cases" / name)


def _first(what: str, *places: Path) -> Path:
    for place in places:
        if place.exists():
            return place
    if os.environ.get("CI"):
        pytest.fail(f"{what} is neither at {' nor at '.join(map(str, places))}")
    pytest.skip(f"{what} is not here; set VMZ_SHARED to run this")
