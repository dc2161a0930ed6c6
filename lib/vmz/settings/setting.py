"""A setting: a field of a frozen dataclass that is checked when the object is made, and from which a flag is made."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, TypeVar

from vmz.errors import UsageError
from vmz.settings.kinds import BadValue, Number, device, epochs, switch
from vmz.text import quoted

_METADATA = "setting"
_METAVARS: dict[Any, str] = {str: "NAME", epochs: "N,N", device: "NAME", switch: "0|1"}
Self = TypeVar("Self", bound="Settings")


@dataclass(frozen=True)
class Setting:
    """What is known of a setting: its default, its help text, what it can be, and the values where they are few."""

    kind: Callable[[str], Any]
    default: Any
    help: str
    choices: Optional[tuple[Any, ...]] = None
    default_now: Optional[Callable[[], Any]] = None  # where the default depends on the environment
    metavar: Optional[str] = None
    several: bool = False  # a tuple of values; a flag that takes more than one

    @property
    def shown_as(self) -> Optional[str]:
        """What --help writes for the value, None where it lists the choices."""
        return self.metavar if self.metavar or self.choices else metavar_of(self.kind)

    def effective_default(self) -> Any:
        """The default here and now. Raises UsageError where the environment asks for what there is not."""
        return self.default if self.default_now is None else self.default_now()

    def checked(self, name: str, value: Any) -> Any:
        """`value` as the setting has it. Raises UsageError, naming the setting, for what it cannot be."""
        if value is None:
            if self.default is not None:
                raise UsageError(f"{name} has no value, but it must have one or be left out")
            return None
        if self.several:
            values = value if isinstance(value, (list, tuple)) else (value,)
            if not values:
                raise UsageError(f"{name} has no value, but it must have one or be left out")
            return tuple(self._one(name, one) for one in values)
        return self._one(name, value)

    def _one(self, name: str, value: Any) -> Any:
        if self.kind is str:
            if not isinstance(value, str):
                raise UsageError(f"{name} is {quoted(value)}, but it must be text")
            found = value
        else:
            try:
                found = self.kind(str(int(value) if isinstance(value, bool) else value))
            except ValueError as error:
                said = str(error) if isinstance(error, BadValue) else f"{quoted(value)} is not an integer"
                raise UsageError(f"{name}: {said}") from None
        if self.choices and found not in self.choices:
            raise UsageError(f"unknown {name} {quoted(value)}; choose from: {', '.join(map(str, self.choices))}")
        return found


def metavar_of(kind: Any) -> str:
    """What --help writes for a value of this kind."""
    return "X" if isinstance(kind, Number) else _METAVARS.get(kind, "N")


def setting(
    default: Any,
    help: str,
    kind: Callable[[str], Any] = str,
    choices: Optional[Iterable[Any]] = None,
    default_now: Optional[Callable[[], Any]] = None,
    metavar: Optional[str] = None,
    several: bool = False,
) -> Any:
    """A field of a subclass of Settings. kind: makes the value of the flag's text, or raises ValueError."""
    known = Setting(
        kind, default, help, None if choices is None else tuple(choices), default_now, metavar, several
    )  # fmt: skip
    metadata = {_METADATA: known}
    if default_now is not None:
        return dataclasses.field(default_factory=default_now, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def changed(owner: type, name: str, default: Any, help: Optional[str] = None) -> Any:
    """The setting `name` of the dataclass `owner` with another default (and help text), for another tool."""
    known = settings_of(owner)[name]
    return setting(default, help or known.help, known.kind, known.choices, None, known.metavar, known.several)


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass of settings. Raises UsageError when it is made with a value that a setting cannot have."""

    def __post_init__(self) -> None:
        for name, known in settings_of(type(self)).items():
            object.__setattr__(self, name, known.checked(name, getattr(self, name)))

    def flags(self) -> dict[str, Any]:
        """{flag: value}, as JSON has it."""
        found = {name: getattr(self, name) for name in settings_of(type(self))}
        return {name: [*value] if isinstance(value, tuple) else value for name, value in found.items()}

    @classmethod
    def from_flags(cls: type[Self], flags: Mapping[str, Any]) -> Self:
        """Of {flag: value}; others stay at their defaults. Raises UsageError for a name that is no setting of these."""
        known = settings_of(cls)
        for name in flags:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f"did you mean {close[0]}?" if close else f"the settings are {', '.join(known)}"
                raise UsageError(f"{quoted(name)} is not a setting of {cls.__name__}; {hint}")
        return cls(**flags)


def settings_of(*classes: type) -> dict[str, Setting]:
    """{name: setting} of dataclasses: of what each inherits from left to right, then its own."""
    found: dict[str, Setting] = {}
    for each in classes:
        own = {
            field.name: field.metadata[_METADATA] for field in dataclasses.fields(each) if _METADATA in field.metadata
        }
        bases = [base for base in each.__bases__ if dataclasses.is_dataclass(base)]
        found.update({name: own[name] for name in settings_of(*bases)} if bases else {})
        found.update(own)
    return found
