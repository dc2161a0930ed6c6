#!/usr/bin/env python3
"""Train or fine-tune a network on an LMDB of videos, as published or with today's additions."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.train_net import main

if __name__ == "__main__":
    sys.exit(main())
