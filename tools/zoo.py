#!/usr/bin/env python3
"""The published models: `list` and `show` say what is known, `fetch` gets weights, `verify` checks what is here."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys

from vmz.cli.zoo import main

if __name__ == "__main__":
    sys.exit(main())
