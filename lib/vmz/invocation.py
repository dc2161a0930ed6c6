"""How this process was started: the command as a person types it, and when. Pages say both."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Optional

SECRET = "***"
_USER_OF_URL = re.compile(r"(?<=://)[^/@\s]*@")  # user:password@host
_SECRET_VALUE = re.compile(
    r"(?i)(?P<name>(?:^|[?&;\s]|--?)[\w.-]*(?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|signature|credential)"
    r"[\w.-]*=)[^&;\s]+"
)
_SECRET_FLAG = re.compile(r"(?i)--?[\w-]*(passw(or)?d|secret|token|api[_-]?key|access[_-]?key|credential)[\w-]*$")


@dataclass(frozen=True)
class Invocation:
    """command: one line for a shell, None of a run from Python. started: with its time zone. reasons: {flag: why it was
    recommended} of settings that the command chose by itself.
    """

    command: Optional[str]
    started: datetime
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """ "27 November 2026, 04:42 UTC"."""
        return f"{self.started.day} {self.started:%B %Y, %H:%M %Z}"


_now: Optional[Invocation] = None


def begin(arguments: Sequence[str], module: str = "", given: bool = False) -> None:
    """Note the command that begins. given: `arguments` are not those of this process, but of the tool in `module`."""
    global _now
    _now = Invocation(command_line(_program(module) if given else sys.argv[0], arguments), datetime.now(timezone.utc))


def current() -> Invocation:
    """The command that runs, or a run from Python that starts now."""
    return _now or Invocation(None, datetime.now(timezone.utc))


def note_reasons(reasons: Mapping[str, str]) -> None:
    """Note which settings the command has chosen by itself, and why."""
    global _now
    _now = replace(current(), reasons=dict(reasons))


def command_line(program: str, arguments: Sequence[str]) -> str:
    """One line that a shell takes, paths as they are given, without passwords.

    >>> command_line("tools/test_net.py", ["--test_data=my videos", "--zoo=x"])
    "python tools/test_net.py '--test_data=my videos' --zoo=x"
    """
    if program.endswith("__main__.py"):
        words = ["python", "-m", "vmz"]
    elif program.endswith(".py"):
        words = ["python", program]
    else:
        words = program.split() if program.startswith("vmz ") else [program]
    return shlex.join([*words, *_without_secrets(arguments)])


def _program(module: str) -> str:
    return f"vmz {module.rpartition('.')[2].replace('_', '-')}"


def _without_secrets(arguments: Sequence[str]) -> list[str]:
    shown: list[str] = []
    after_secret = False
    for argument in arguments:
        if after_secret and not argument.startswith("-"):
            shown.append(SECRET)
        else:
            without = _USER_OF_URL.sub(f"{SECRET}@", argument)
            shown.append(_SECRET_VALUE.sub(lambda found: f"{found['name']}{SECRET}", without))
        after_secret = bool(_SECRET_FLAG.fullmatch(argument))
    return shown
