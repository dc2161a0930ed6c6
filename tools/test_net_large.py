#!/usr/bin/env python3
"""Evaluate a network on crops too large or too many for one run: test_net.py, a video and a crop at a time."""

from __future__ import annotations

import _find_vmz  # noqa: F401  isort: skip  (first: it handles signals)
import sys
from collections.abc import Sequence

from vmz.cli.command import run_tool
from vmz.cli.test_net import evaluation_parser, run_evaluation


def main(argv: Sequence[str]) -> int:
    return run_evaluation(evaluation_parser(__doc__, batch_size=1, crop_per_inference=1), argv)


if __name__ == "__main__":
    sys.exit(run_tool(main, several=True))
