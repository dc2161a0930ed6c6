#!/usr/bin/env python3
"""Fuse the dense predictions of two streams, as RGB and optical flow: alpha * first + (1 - alpha) * second."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.dense_prediction_fusion import main

if __name__ == "__main__":
    sys.exit(main())
