#!/usr/bin/env python3
"""Evaluate a network on an LMDB of videos by the published clip-to-video protocol."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.test_net import main

if __name__ == "__main__":
    sys.exit(main())
