#!/usr/bin/env python3
"""Print a network: every op with its output shape, parameters and multiply-adds, or both NetDefs as JSON."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.print_net import main

if __name__ == "__main__":
    sys.exit(main())
