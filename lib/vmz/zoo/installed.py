"""Files of the clone that the package reads: where an installation has them, and where they lie in a clone."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
CLONE = PACKAGE.parents[1]


def places_of(path: str) -> list[Path]:
    """Where `path`, such as models_zoo/manifest.json, may be: in the package, by setup.py's work, or in the clone.

    The package comes first: what lies beside the folder that pip installs to may be anybody's.
    """
    return [PACKAGE / path, CLONE / path]
