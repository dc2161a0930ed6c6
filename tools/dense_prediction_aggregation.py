#!/usr/bin/env python3
"""Score videos by the mean softmax of the clips that extract_features.py has written, clip after clip, to files."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.dense_prediction_aggregation import main

if __name__ == "__main__":
    sys.exit(main())
