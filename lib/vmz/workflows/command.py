"""What every tool does around its work: parse, run, turn an error into one sentence and an exit status."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Callable, NoReturn, Optional

from vmz.errors import UsageError, VmzError
from vmz.video.faults import printable
from vmz.workflows import distributed

Main = Callable[[Sequence[str]], int]


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence (no usage dump), with --debug on every tool."""

    def __init__(self, description: str, **keywords: object) -> None:
        super().__init__(
            description=description,
            usage="%(prog)s [--flag=value ...]",  # the list below says it better than forty brackets
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,
            **keywords,  # type: ignore[arg-type]
        )
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def error(self, message: str) -> NoReturn:
        error = UsageError(f"{message}; see {self.prog} --help")
        error.told = distributed.rank() > 0  # the first of several processes has the same command line
        raise error


def shown(error: Exception) -> str:
    """The message as text that any terminal shows: never bytes of a video."""
    return "\n".join(map(printable, str(error).split("\n")))


def run_tool(main: Main, argv: Optional[Sequence[str]] = None) -> int:
    """Call `main(argv)` and return the exit status: its own, 1 for a failure, 2 for wrong usage, 130 when interrupted.

    An error is printed as one sentence on stderr; `--debug` among the arguments shows its traceback instead.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        return main(arguments)
    except VmzError as error:
        if debug:
            raise
        if not error.told:
            print(f"error: {shown(error)}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # `tool | head`: whoever read has gone, and so may we
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            raise
        print(
            f"error: {type(error).__name__}: {shown(error)}; a fault of VMZ: run again with --debug to see where",
            file=sys.stderr,
        )
        return 1
