#!/usr/bin/env python3
"""Run real Caffe2 and PyTorch on the same NetDef, weights and clips, and hold every blob of one against the other."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.compare_engines import main

if __name__ == "__main__":
    sys.exit(main())
