"""Turn a .mdl of training into a .pkl of its weights, or, with --db_type=pickle, a .pkl into a .mdl."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from vmz.checkpoints.loading import CAFFE2_TYPES, convert
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.outputs import Output, in_progress
from vmz.text import counted


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/minidb_to_pickle.py --load_model_path=run_10.mdl --save_model_path=run_10.pkl")
    parser.add_argument("--load_model_path", required=True, metavar="FILE", help="the checkpoint to read")
    parser.add_argument("--save_model_path", required=True, metavar="FILE", help="the checkpoint to write")
    parser.add_argument("--db_type", default="minidb", choices=CAFFE2_TYPES, help="format of --load_model_path")
    options = parser.parse_args(argv)
    with in_progress(Output("--save_model_path", options.save_model_path), options=options):
        written, left_out = convert(options.load_model_path, options.save_model_path, options.db_type)
    state = f"; {counted(left_out, 'blob')} of training state left out" if left_out else ""
    print(f"{options.save_model_path}: {counted(written, 'blob')}{state}")
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
