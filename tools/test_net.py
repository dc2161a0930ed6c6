#!/usr/bin/env python3
"""Evaluate a network on an LMDB of videos by the published clip-to-video protocol."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys
from collections.abc import Sequence

from vmz.cli.command import run_tool
from vmz.cli.test_net import evaluation_parser, run_evaluation


def main(argv: Sequence[str]) -> int:
    return run_evaluation(evaluation_parser(__doc__), argv)


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
