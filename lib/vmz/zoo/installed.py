"""Files of the clone that the package reads: where they lie in a clone, and where an installation has them."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2]
CLONE = PACKAGES.parent
SHARE = "share/vmz"  # pyproject.toml puts them there


def places_of(path: str) -> list[Path]:
    """Where `path`, such as models_zoo/manifest.json, may be: in the clone first, then where pip puts VMZ's files."""
    roots = [CLONE, *_recorded(), PACKAGES / SHARE, Path(sys.prefix) / SHARE]  # --target writes beside the packages
    return list(dict.fromkeys(root / path for root in roots))


def _recorded() -> list[Path]:
    """share/vmz as pip has recorded it for this package; nothing for one that is not installed."""
    try:
        files = importlib.metadata.files("vmz") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    places = (Path(str(file.locate())).resolve().as_posix().rpartition(f"/{SHARE}/")[0] for file in files)
    return [Path(place) / SHARE for place in dict.fromkeys(places) if place]
