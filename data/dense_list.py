#!/usr/bin/env python3
"""Turn a list of videos into one of clips all along them, with start frames and ids, for dense prediction."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.data.dense_list import main

if __name__ == "__main__":
    sys.exit(main())
