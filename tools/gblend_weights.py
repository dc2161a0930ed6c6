#!/usr/bin/env python3
"""Weights of Gradient-Blending, from the history of a training: how much each head generalises and overfits."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.gblend_weights import main

if __name__ == "__main__":
    sys.exit(main())
