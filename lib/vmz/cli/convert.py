"""Say whose layout a file of weights has, and write it as a state dict of another library, or as a file of VMZ.

Layouts: torchvision (r3d, mcX), ig65m (r2plus1d), original-pytorch (r2plus1d, ir-csn, ip-csn), pytorchvideo (ir-csn),
mmaction2 (ir-csn, ip-csn), vmz (all networks, by blob name). That of FILE is recognised by its keys.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional

from vmz.checkpoints.loading import DB_TYPES, load
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import UsageError
from vmz.layouts.conversion import VMZ, Converted, convert, convert_from
from vmz.layouts.recognition import is_foreign, plain_keys
from vmz.layouts.tables import EPSILON, LAYOUTS
from vmz.outputs import Output, in_progress
from vmz.settings.kinds import Number
from vmz.text import counted

EXAMPLE = "vmz convert r2plus1d_34.pkl --to=ig65m --output=r2plus1d_34.pth"
_number = Number(1e-12, 1)


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), EXAMPLE)
    parser.add_argument("file", metavar="FILE", help="weights: .pkl, .mdl, .pth, .pt or .safetensors")
    parser.add_argument(
        "--to", default=VMZ, choices=(VMZ, *LAYOUTS), help="layout to write; vmz: blob names, as all tools read them"
    )
    parser.add_argument(
        "--output",
        metavar="FILE",
        help="file to write: .pth, .pt or .safetensors, and with --to=vmz also .pkl or .mdl; without it FILE is only "
        "checked and described",
    )
    parser.add_argument(
        "--eps",
        type=_number,
        metavar="X",
        help="epsilon of the batch norms that FILE's weights are for, where neither FILE nor its layout says it: "
        "1e-5 in modules as torchvision and pytorchvideo make them",
    )
    parser.add_argument(
        "--to_eps",
        type=_number,
        default=EPSILON,
        metavar="X",
        help="epsilon of the batch norms that will use the output. Another one than VMZ's changes their scales, so "
        "that a module in evaluation mode computes the same",
    )
    parser.add_argument(
        "--db_type", choices=DB_TYPES, help="format of FILE; inferred from the file extension by default"
    )
    options = parser.parse_args(argv)
    if options.to == VMZ and options.to_eps != EPSILON:
        raise UsageError(f"--to_eps={options.to_eps:g} is for modules of other libraries; VMZ's have {EPSILON:g}")
    with in_progress(Output("--output", options.output), options=options):
        found = load(options.file, options.db_type)
        foreign = is_foreign(plain_keys(found.blobs))
        if options.eps is not None and not foreign:
            raise UsageError(f"--eps is for another library's state dict, but {options.file} has blob names")
        converted = convert_from(found, eps=options.eps)
        notes = list(converted.notes)
        if options.to != VMZ:
            converted = convert(
                converted.tensors if foreign else found, options.to, eps=options.to_eps, source=options.file
            )
            notes += converted.notes
        if options.output:
            converted.save(options.output)
        print(_line(options.file, options.output, converted, notes))
    return 0


def _line(source: str, output: Optional[str], found: Converted, notes: Sequence[str]) -> str:
    what = f"{found.network}, {counted(len(found.tensors), 'tensor')} in the layout of {found.layout}"
    return f"{output or source}: {'; '.join([what, *dict.fromkeys(notes)])}"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
