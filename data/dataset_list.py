#!/usr/bin/env python3
"""Turn an official list of UCF101, HMDB51, Kinetics or Sports-1M into the CSV that create_video_db.py reads."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.data.dataset_list import main

if __name__ == "__main__":
    sys.exit(main())
