#!/usr/bin/env python3
"""Figures from the scores that test_net.py --save_scores kept: another aggregation, or several files as one run."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.aggregate_scores import main

if __name__ == "__main__":
    sys.exit(main())
