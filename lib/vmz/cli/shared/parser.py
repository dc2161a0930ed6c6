"""The parser of every command: errors of one sentence, flags that may be abbreviated, a guess at a mistyped one."""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType
from typing import Any, NoReturn, Optional

from vmz.cli.shared.original_flags import ORIGINAL_FLAGS
from vmz.errors import UsageError
from vmz.settings.kinds import BadValue, Integer, Number
from vmz.settings.setting import Setting, metavar_of


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """With each default that says something, and the example as it stands."""

    def _get_help_string(self, action: argparse.Action) -> Optional[str]:
        if action.default in (None, []) or action.nargs == 0:
            return action.help
        return super()._get_help_string(action)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example: ") else super()._fill_text(text, width, indent)


class _Version(argparse.Action):
    """Print the versions and end. They are asked for only now: it imports PyTorch."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from vmz.versions import versions_line

        print(versions_line())
        parser.exit()


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one sentence (no usage dump), with --debug on every tool.

    Flags may be abbreviated, as in the original; a value may begin with one dash. What is mistyped gets a suggestion.
    """

    def __init__(self, description: str, example: str = "", **keywords: Any) -> None:
        """example: a command line that works, for --help."""
        super().__init__(
            description=description,
            epilog=keywords.pop("epilog", f"example: {example}" if example else None),
            usage="%(prog)s [--flag=value ...]",  # the list below says it better than forty brackets
            formatter_class=_Help,
            allow_abbrev=False,  # done here, so that an abbreviation of the original's stays unique
            **keywords,
        )
        self.settings: dict[str, Setting] = {}  # those of its flags that are settings of a configuration
        self._former: dict[str, dict[str, Optional[str]]] = {}  # {flag: {today's flag: value, None for its own}}
        self.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if not keywords.get("prog", "").count(" "):  # not for each command of a tool with commands
            self.add_argument("--version", action=_Version, nargs=0, help="print the versions of VMZ and what it uses")

    def format_help(self) -> str:
        """The text of --help; what a number or a switch takes is said by its kind."""
        for action in self._actions:
            kinds = (Integer, Number, FunctionType)
            if action.metavar is None and not action.choices and isinstance(action.type, kinds):
                action.metavar = metavar_of(action.type)
        return super().format_help()

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
        tokens = [token for token in self._spelled_out(list(argv)) if token not in ("-h", "--help", "--version")]
        with self._without_defaults():
            return dict(vars(super().parse_known_args(tokens)[0]))

    def add_former_name(self, old: str, new: str, help: str, **also: str) -> None:
        """Take `old` for `new`, an earlier name of it, which set the flags `also` as well."""
        self.add_argument(f"--{old}", default=argparse.SUPPRESS, metavar="FILE", help=help)
        self._former[f"--{old}"] = {f"--{new}": None, **{f"--{name}": value for name, value in also.items()}}

    def has(self, name: str) -> bool:
        """Whether there is a flag of this name."""
        return f"--{name}" in self._option_string_actions

    def error(self, message: str) -> NoReturn:
        raise self._refused(f"{message.replace('argument --', '--', 1)}; see {self.prog} --help")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        try:
            return super()._get_value(action, arg_string)
        except argparse.ArgumentError as error:
            cause = error.__context__  # what the kind of a setting says is better than argparse's "invalid value"
            if isinstance(cause, BadValue):
                raise argparse.ArgumentError(action, str(cause)) from None
            raise

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
        known = ORIGINAL_FLAGS.get(os.path.splitext(self.prog)[0].rpartition(" ")[2].replace("-", "_"), ())
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
