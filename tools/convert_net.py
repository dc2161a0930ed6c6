#!/usr/bin/env python3
"""Check a network that an old Caffe2 program left, on the PyTorch engine, and write it in other forms; no Caffe2."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.convert_net import main

if __name__ == "__main__":
    sys.exit(main())
