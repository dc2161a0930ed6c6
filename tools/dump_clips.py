#!/usr/bin/env python3
"""Write the clips that a network would see: look here first when an accuracy is off."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.dump_clips import main

if __name__ == "__main__":
    sys.exit(main())
