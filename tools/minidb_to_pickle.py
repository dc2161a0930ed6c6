#!/usr/bin/env python3
"""Turn a .mdl of training into a .pkl of its weights, or, with --db_type=pickle, a .pkl into a .mdl."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.minidb_to_pickle import main

if __name__ == "__main__":
    sys.exit(main())
