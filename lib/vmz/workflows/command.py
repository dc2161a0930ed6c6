"""What every tool does around its work: parse, run, turn an error into one sentence and an exit status."""

from __future__ import annotations

import argparse
import difflib
import faulthandler
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, NoReturn, Optional

from vmz import outputs, processes, stopping
from vmz.engines.caffe2_here import NoCaffe2Error
from vmz.errors import UsageError, VmzError
from vmz.files import REFUSED, disk_reason, remove_temporaries
from vmz.text import cut, printable, visible_output
from vmz.workflows import distributed
from vmz.workflows.original_flags import ORIGINAL_FLAGS

Main = Callable[[Sequence[str]], int]
LONGEST_MESSAGE = 3000  # characters: a list of all blobs or arguments has some hundreds


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence (no usage dump), with --debug on every tool.

    Flags may be abbreviated, as in the original; a value may begin with one dash. What is mistyped gets a suggestion.
    """

    def __init__(self, description: str, **keywords: Any) -> None:
        super().__init__(
            description=description,
            usage="%(prog)s [--flag=value ...]",  # the list below says it better than forty brackets
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
            allow_abbrev=False,  # done here, so that an abbreviation of the original's stays unique
            **keywords,
        )
        self._former: dict[str, dict[str, Optional[str]]] = {}  # {flag: {today's flag: value, None for its own}}
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As ArgumentParser.parse_args. Raises UsageError."""
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            raise self._refused(self._chosen(options)._unknown(rest))
        return options

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """(namespace, arguments that are left over). Raises UsageError, for unknown flags too."""
        return super().parse_known_args(self._spelled_out(list(sys.argv[1:] if args is None else args)), namespace)

    def add_subparsers(self, **keywords: Any) -> Any:
        """As ArgumentParser.add_subparsers; the commands' messages say `prog command`, without the usage."""
        return super().add_subparsers(**{"prog": self.prog, **keywords})

    def given(self, argv: Sequence[str]) -> set[str]:
        """The names (dest) of the flags that `argv` holds, abbreviated or not. Raises UsageError as parse_args."""
        return set(self.given_values(argv))

    def given_values(self, argv: Sequence[str]) -> dict[str, Any]:
        """{name (dest): value} of the flags that `argv` holds; a flag at its default counts, --help does nothing."""
        tokens = [token for token in self._spelled_out(list(argv)) if token not in ("-h", "--help")]
        with self._without_defaults():
            return dict(vars(super().parse_known_args(tokens)[0]))

    def add_former_name(self, old: str, new: str, help: str, **also: str) -> None:
        """Take `old` for `new`, an earlier name of it, which set the flags `also` as well."""
        self.add_argument(f"--{old}", default=argparse.SUPPRESS, metavar="FILE", help=help)
        self._former[f"--{old}"] = {f"--{new}": None, **{f"--{name}": value for name, value in also.items()}}

    def error(self, message: str) -> NoReturn:
        raise self._refused(f"{message.replace('argument --', '--', 1)}; see {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            name = action.option_strings[0] if action.option_strings else action.metavar or action.dest
            raise self._refused(
                f"unknown {name} {str(value)!r}; {_meant(str(value), known)}choose from: {', '.join(known)}"
            )

    def _refused(self, message: str) -> UsageError:
        return UsageError(message)

    @contextmanager
    def _without_defaults(self) -> Iterator[None]:
        kept = [(action, action.default, action.required) for action in self._actions]
        defaults, self._defaults = self._defaults, {}
        try:
            for action in self._actions:
                action.default, action.required = argparse.SUPPRESS, False
            yield
        finally:
            self._defaults = defaults
            for action, default, required in kept:
                action.default, action.required = default, required

    def _spelled_out(self, argv: list[str]) -> list[str]:
        """Flags in full and by today's names, each value joined to its flag by "=", for it may begin with a dash."""
        found: list[str] = []
        flag, several = "", False  # the flag whose value comes next, and whether more than one may come
        for place, token in enumerate(argv):
            if token == "--" or (self._subparsers is not None and not token.startswith("-")):
                found += argv[place:]  # positional arguments, or those of a command
                break
            if token.startswith("--"):
                name, equals, value = token.partition("=")
                name = self._full_name(name)
                found.append(name + equals + value)
                action = self._option_string_actions.get(name)
                if action is None:  # before argparse misses a required flag that is only mistyped
                    raise self._refused(self._unknown([token]))
                several = isinstance(action, argparse._ExtendAction)
                flag = name if not equals and (several or action.nargs is None) else ""
            elif flag and token not in self._option_string_actions:
                if found[-1] == flag:
                    found.pop()
                found.append(f"{flag}={token}")
                flag = flag if several else ""
            else:
                found.append(token)
                flag = ""
        return self._renamed(found)

    def _renamed(self, tokens: list[str]) -> list[str]:
        values = dict(token.split("=", 1) for token in tokens if "=" in token)
        found = []
        for token in tokens:
            old, equals, value = token.partition("=")
            if old not in self._former or not equals:
                found.append(token)
                continue
            meant = {name: now or value for name, now in self._former[old].items()}
            for name, now in meant.items():
                if values.get(name, now) != now:
                    means = " ".join(f"{name}={now}" for name, now in meant.items())
                    raise self._refused(
                        f"{token} means {means}, but {name}={values[name]} is given too; give one of them"
                    )
            found += [f"{name}={now}" for name, now in meant.items()]
        return found

    def _full_name(self, name: str) -> str:
        if name in self._option_string_actions:
            return name
        found = [option for option in self._option_string_actions if option.startswith(name)]
        known = ORIGINAL_FLAGS.get(os.path.splitext(self.prog)[0], ())
        originals = [option for option in found if option.lstrip("-") in known]
        if len(found) > 1 and len(originals) != 1:
            raise self._refused(f"{name} is ambiguous: it may be {_either(sorted(found))}")
        return (originals or found or [name])[0]

    def _chosen(self, options: argparse.Namespace) -> Parser:
        """The parser of the command that was given, where there are commands."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                command = action.choices[getattr(options, action.dest)]
                return command if isinstance(command, Parser) else self
        return self

    def _unknown(self, rest: Sequence[str]) -> str:
        first = rest[0]
        if not first.startswith("-") or first == "-":
            return f"unexpected argument {first!r}: a flag begins with --; see {self.prog} --help"
        name = first.partition("=")[0]
        plain = "--" + name.lstrip("-").replace("-", "_")
        options = [option for option in self._option_string_actions if option.startswith("--")]
        return f"unknown flag {name}; {_meant(plain, options)}see {self.prog} --help"


def _meant(text: str, known: Sequence[str]) -> str:
    """ "did you mean ...? " where something known, or the beginning of it, is close, "" elsewhere."""

    def closeness(name: str) -> float:
        begun = difflib.SequenceMatcher(None, text.lower(), name.lower()[: len(text)]).ratio()
        return max(difflib.SequenceMatcher(None, text.lower(), name.lower()).ratio(), 0.95 * begun)

    close = max(known, key=closeness, default="")
    return f"did you mean {close}? " if close and closeness(close) >= 0.75 else ""


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def is_lack_of_memory(error: BaseException) -> bool:
    """Python's, numpy's and PyTorch's errors of an allocation that failed, on the CPU or a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and re.search("can't allocate memory|out of memory", str(error)) is not None
    )


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
        _say(VmzError(f"what was printed is not complete: {printed.failed.strerror}"), (), False)
        return status or 1


def _run_tool(main: Main, argv: Optional[Sequence[str]], several: bool) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = any(argument.startswith("--deb") and "--debug".startswith(argument) for argument in arguments)

    def say(error: BaseException) -> None:
        if several and distributed.world_size() > 1:  # the libraries of one that failed must not keep it, nor its cores
            faulthandler.dump_traceback_later(distributed.END_SECONDS, exit=True, file=2)
        if not getattr(error, "told", False):
            _say(error, [sys.argv[0], *arguments], debug)
            error.told = True  # type: ignore[attr-defined]

    with stopping.handled(_clean):
        try:
            if not several and (launcher := processes.launcher()) is not None:
                error = UsageError(
                    f"{Path(sys.argv[0]).name} does its work in one process; start it without {launcher.name}"
                )
                error.told = distributed.rank() > 0  # they all raise it, and are not joined
                raise error
            with distributed.joined(say):  # of several processes the first to fail says why
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
            if debug and not getattr(error, "told", False):
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
        line = f"error: {type(error).__name__}: {shown(error)}; a fault of VMZ: run again with --debug to see where"
    print(line, file=sys.stderr, flush=True)


def _of_system(error: BaseException) -> str:
    """What the system refused, with the file where it is known: no fault of VMZ."""
    names = [
        os.fsdecode(name) for name in (getattr(error, "filename", None), getattr(error, "filename2", None)) if name
    ]
    reason = getattr(error, "strerror", None) or disk_reason(error, REFUSED) or str(error)
    return f"{' and '.join(names)}: {reason}" if names else reason
