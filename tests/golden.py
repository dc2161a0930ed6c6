"""Where the golden data lies. Where it is missing, tests that need it skip, except in CI, where they fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("VMZ_SHARED", Path(__file__).resolve().parents[2] / "shared"))
GOLDEN = SHARED / "golden"
VIDEOS = SHARED / "videos"

needs_shared = pytest.mark.skipif(
    not GOLDEN.is_dir() and not os.environ.get("CI"), reason=f"no golden data at {GOLDEN}; set VMZ_SHARED to run this"
)


def video_path(name: str) -> Path:
    """The file of a golden video: most are in videos/, the small extra ones beside the reader's goldens."""
    return VIDEOS / name if (VIDEOS / name).exists() else GOLDEN / "reader" / name
