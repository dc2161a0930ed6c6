"""Check a network that an old Caffe2 program left, on the PyTorch engine, and write it in other forms; no Caffe2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.engines.torch_engine.graph.old_nets import import_old_net
from vmz.inspection.convert_net import ENDINGS, outputs_of, parse_shapes, summary, write
from vmz.outputs import in_progress


def work(argv: Sequence[str]) -> int:
    parser = Parser(
        str(__doc__),
        "tools/convert_net.py --net=predict_net.pb --init_net=init_net.pb --output=net.pkl",
    )
    parser.add_argument(
        "--net",
        required=True,
        metavar="FILE",
        help="predict_net.pb or .pbtxt, a folder with predict_net.pb and init_net.pb, a predictor export (.mdl, "
        ".minidb), or JSON of print_net.py",
    )
    parser.add_argument("--init_net", metavar="FILE", help="the init net, .pb, .pbtxt or .json")
    parser.add_argument(
        "--weights", metavar="FILE", help="a pickled workspace, a .mdl, or the minidb of a Save operator"
    )
    parser.add_argument("--inputs", metavar="BLOBS", help="blobs to feed although the init net fills them, with commas")
    parser.add_argument(
        "--outputs", metavar="BLOBS", help="blobs to compute, with commas; by default those of the file"
    )
    parser.add_argument(
        "--input_shape",
        action="append",
        default=[],
        metavar="BLOB=N,C,...",
        help="of an input, for .pt2; once for each",
    )
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        metavar="FILE",
        help=f"file to write, in the format of its extension ({', '.join(ENDINGS)}); once for each file. Without it, "
        "the net is checked and described",
    )
    options = parser.parse_args(argv)
    with in_progress(*outputs_of(options.output), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    """Read, check, tell, and write each file; the exit status."""
    inputs, outputs = (text.split(",") if text else None for text in (options.inputs, options.outputs))
    net = import_old_net(options.net, options.init_net, options.weights, inputs, outputs)
    shapes = parse_shapes(options.input_shape, net.inputs)
    print("\n".join(summary(net)), flush=True)
    for path in options.output:
        print(write(net, Path(path), shapes), flush=True)
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
