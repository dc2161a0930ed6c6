#!/usr/bin/env python3
"""Evaluate a network on crops too large or too many for one run: test_net.py, a video and a crop at a time."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.test_net_large import main

if __name__ == "__main__":
    sys.exit(main())
