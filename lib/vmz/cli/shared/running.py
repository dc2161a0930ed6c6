"""What every command does around its work: run, and turn an error into one sentence and an exit status."""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, Optional

from vmz import invocation, outputs, stopping
from vmz.engines.caffe2_engine.here import NoCaffe2Error
from vmz.errors import UsageError, VmzError, is_lack_of_memory
from vmz.files import REFUSED, disk_reason, remove_temporaries
from vmz.processes import group, identity
from vmz.text import cut, printable, visible_output

Main = Callable[[Sequence[str]], int]
LONGEST_MESSAGE = 3000  # characters: a list of all blobs or arguments has some hundreds


def shown(error: object) -> str:
    """The message as text that any terminal shows: never bytes of a video, never endless."""
    return "\n".join(map(printable, cut(str(error), LONGEST_MESSAGE).split("\n")))


def run_tool(main: Main, argv: Optional[Sequence[str]] = None, several: bool = False) -> int:
    """Call `main(argv)` and return the exit status: its own, 1 for a failure, 2 for wrong usage, 130 when interrupted,
    143 after SIGTERM.

    several: the tool shares its work among the processes that torchrun starts; one that does not refuses them.
    An error is printed as one sentence on stderr; `--debug` among the arguments shows its traceback instead. All
    that is printed is shown as vmz.text.visible has it.
    """
    with visible_output() as printed:
        try:
            status = _run_tool(main, argv, several)
        except KeyboardInterrupt as error:  # in the moment before its work, or after
            _clean()
            _say(error, (), False)
            status = stopping.status_of(error)
        printed.flush()
        if printed.failed is None or isinstance(printed.failed, BrokenPipeError):  # `tool | head` has what it wants
            return status
        _say(VmzError(f"the printed output is not complete: {printed.failed.strerror}"), (), False)
        return status or 1


def _run_tool(main: Main, argv: Optional[Sequence[str]], several: bool) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    invocation.begin(arguments, getattr(main, "__module__", ""), given=argv is not None)
    debug = any(argument.startswith("--deb") and "--debug".startswith(argument) for argument in arguments)

    def say(error: BaseException) -> None:
        if several and identity.world_size() > 1:  # the libraries of one that failed must not keep it, nor its cores
            faulthandler.dump_traceback_later(group.END_SECONDS, exit=True, file=2)
        if not getattr(error, "already_reported", False):
            _say(error, [sys.argv[0], *arguments], debug)
            error.already_reported = True  # type: ignore[attr-defined]

    with stopping.handled(_clean):
        try:
            if not several and (launcher := identity.launcher()) is not None:
                error = UsageError(f"{Path(sys.argv[0]).name} runs in one process; start it without {launcher.name}")
                error.already_reported = identity.rank() > 0  # they all raise it, and are not joined
                raise error
            with group.joined(say):  # of several processes the first to fail says why
                return main(arguments)
        except BrokenPipeError:  # `tool | head`: whoever read has gone, and so may we
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except KeyboardInterrupt as error:
            say(error)
            return stopping.status_of(error)
        except SystemExit:
            if (stopped := stopping.raised()) is None:
                raise
            say(stopped)  # a library has made its own end of it
            return stopping.status_of(stopped)
        except Exception as error:
            if (stopped := stopping.raised()) is not None and not isinstance(error, VmzError):
                say(stopped)
                return stopping.status_of(stopped)
            if debug and not getattr(error, "already_reported", False):
                raise
            say(error)
            return error.exit_status if isinstance(error, VmzError) else 1


def _clean() -> None:
    """Leave nothing half-written."""
    remove_temporaries()
    outputs.give_back_all()


def write_each(*writes: Callable[[], object]) -> int:
    """Write the files of a run that has printed its figures: where one cannot be, go on with the others.

    Returns the exit status: 0, or 1 after a sentence for each that is not there.
    """
    status = 0
    for write in writes:
        try:
            write()
        except BrokenPipeError:
            raise
        except (VmzError, OSError) as error:
            _say(error, (), False)
            status = 1
    return status


def _say(error: BaseException, command: Sequence[str], debug: bool) -> None:
    """Print an error on stderr: one sentence, or with `debug` its traceback."""
    if isinstance(error, BrokenPipeError):
        return
    if debug and isinstance(error, Exception):
        traceback.print_exception(type(error), error, error.__traceback__)
        return
    if isinstance(error, VmzError):
        text = error.for_command(command) if isinstance(error, NoCaffe2Error) else str(error)
        line = f"error: {shown(text)}"
    elif isinstance(error, KeyboardInterrupt):
        line = stopping.message_of(stopping.status_of(error) - 128)
    elif is_lack_of_memory(error):
        line = (
            "error: there is not enough memory for this run; give a smaller --batch_size, --crop_per_inference or "
            f"--crop_size ({shown(error)})"
        )
    elif isinstance(error, OSError) or disk_reason(error, REFUSED):
        line = f"error: {shown(_of_system(error))}"
    else:
        line = (
            f"internal error: {type(error).__name__}: {shown(error)}. This is a bug in VMZ; rerun with --debug for a "
            "traceback and please report it"
        )
    print(line, file=sys.stderr, flush=True)


def _of_system(error: BaseException) -> str:
    """What the system refused, with the file where it is known: no fault of VMZ."""
    names = [
        os.fsdecode(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name
    ]
    reason = getattr(error, "strerror", None) or disk_reason(error, REFUSED) or str(error)
    return f"{' and '.join(names)}: {reason}" if names else reason
