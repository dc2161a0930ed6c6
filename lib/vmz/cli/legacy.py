"""Run an old Caffe2 program as it is: `python -m vmz.legacy [--py2] [--without NAME] SCRIPT ARGS...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn, Optional

from vmz.errors import UsageError, VmzError
from vmz.mends import table
from vmz.mends.running import read_script, run_script
from vmz.mends.start import start

DESCRIPTION = """Run a program that was written for Caffe2 and the original VMZ, without changing it. It finds what it
expects: VideoInput and lmdb, models and utils, cPickle, names that newer Python and numpy lack. Each of these mends
says once on stderr that it took effect."""
EXAMPLE = "example: python -m vmz.legacy tools/test_net.py --test_data=val_lmdb --num_gpus=0 --load_model_path=net.pkl"


class Parser(argparse.ArgumentParser):
    """Its errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status, where the program does not end the process itself."""
    parser = Parser(
        prog="python -m vmz.legacy",
        usage="%(prog)s [--py2] [--without NAME] SCRIPT [ARGUMENT ...]",
        description=DESCRIPTION,
        epilog=EXAMPLE + "\n\nmends:\n" + "\n".join(f"  {row.name:13} {row.what}" for row in table.MENDS.values()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--py2", action="store_true", help="the program is Python 2: translate its own files in memory")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="NAME",
        help=f"leave a mend out; several: a,b. {table.WITHOUT} in the environment does the same, "
        f"{table.QUIET}=1 silences the reports",
    )
    parser.add_argument("script", metavar="SCRIPT", nargs="?", help="the program's file")
    parser.add_argument("arguments", metavar="ARGUMENT", nargs=argparse.REMAINDER, help="what the program is given")
    try:
        options = parser.parse_args(sys.argv[1:] if argv is None else argv)
        if options.script is None:
            raise UsageError("no program is named; give the path of a Python file, such as tools/train_net.py")
        source = read_script(options.script)
        start(options.without)
        run_script(options.script, source, options.arguments, options.py2)
    except VmzError as error:
        if error.already_reported:  # the program's own, which it did not catch
            raise
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
