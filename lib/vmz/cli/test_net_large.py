"""Evaluate a network on crops too large or too many for one run: test_net.py, a video and a crop at a time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from vmz.cli.shared.running import run_tool
from vmz.cli.test_net import evaluation_parser, run_evaluation


def work(argv: Sequence[str]) -> int:
    example = (
        "tools/test_net_large.py --zoo=ir_csn_152_ft_kinetics_from_ig65m --load_model_path=model.pkl --test_data=lmdb"
    )
    return run_evaluation(evaluation_parser(str(__doc__), example, batch_size=1, crop_per_inference=1), argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv, several=True)


if __name__ == "__main__":
    sys.exit(main())
