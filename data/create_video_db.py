#!/usr/bin/env python3
"""Make an LMDB of videos from a list: a CSV with the columns org_video, label and, where used, start_frm and video_id,
or rows of a path and a label. Labels are numbers or names of classes.
"""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.data.create_video_db import main

if __name__ == "__main__":
    sys.exit(main())
