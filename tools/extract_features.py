#!/usr/bin/env python3
"""Extract features of video clips: any blobs of a network, for the clips of an LMDB or all along untrimmed videos."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.extract_features import main

if __name__ == "__main__":
    sys.exit(main())
