"""One way to make a page: a template, the data, our style and script inlined. It needs no network and no server.

Text is escaped by Jinja, and a Content-Security-Policy in the page forbids it every request.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vmz import invocation
from vmz.files import atomic_write
from vmz.text import plural, visible

TEMPLATES = Path(__file__).resolve().parent / "templates"
NONE = "\u2013"  # a dash: what stands for a value that is not there


def render(template: str, **values: Any) -> str:
    """The HTML of templates/`template` with these values. A name that the template uses and nobody gave is an error."""
    return _environment().get_template(template).render(**{"run": invocation.current(), **values})


def render_macro(template: str, macro: str, *values: Any) -> str:
    """The HTML of one macro of templates/`template`: a part of a page."""
    module: Any = _environment().get_template(template).module
    return str(getattr(module, macro)(*values))


def asset(name: str) -> str:
    """The text of a file of templates/: style.css, script.js."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def write(path: Union[str, Path], html: str) -> None:
    """The file is whole or not there. Raises VmzError where it cannot be written."""
    with atomic_write(path) as stream:
        stream.write(html.encode("utf-8"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent, count=count, number=number, seconds=seconds, value=value, fields=vars, counted=counted
    )
    environment.filters.update(named=named, plural=plural)
    environment.globals.update(style=Markup(asset("style.css")), script=Markup(asset("script.js")), absent=NONE)
    return environment


def _seen(value: Any) -> Any:
    """What a template puts into a page: text shows its control characters; our own markup has none."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def data_address(jpeg: bytes) -> str:
    """A picture as an address that holds it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


# How values are written, everywhere alike.


def percent(share: Optional[float], digits: int = 1) -> str:
    """0.8257 as "82.6 %"."""
    return NONE if share is None or math.isnan(share) else f"{100 * share:.{digits}f}\u00a0%"


def count(value: Optional[float]) -> str:
    """12345 as "12 345", with a narrow space that does not break."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\u202f")


def counted(value: int, what: str) -> str:
    """1 as "1 clip", 12345 as "12 345 clips". what: in the singular."""
    return f"{count(value)} {plural(value, what)}"


def number(value: Optional[float], digits: int = 3) -> str:
    """Some digits that matter: 0.00012345 as "0.000123", 1234.5 as "1 234"."""
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "\u2212∞"
    if abs(value) >= 1000:
        return count(value)
    text = f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("e+0", "e") if "e" in text else text


def seconds(value: Optional[float]) -> str:
    """A time as people say it: "0.42 s", "38 s", "2 min 5 s", "3 h 20 min"."""
    if value is None:
        return NONE
    if value < 10:
        return f"{value:.2g}\u00a0s" if value < 1 else f"{value:.1f}\u00a0s"
    whole = round(value)
    if whole < 60:
        return f"{whole}\u00a0s"
    if whole < 3600:
        return f"{whole // 60}\u00a0min {whole % 60}\u00a0s"
    return f"{count(whole // 3600)}\u00a0h {whole % 3600 // 60}\u00a0min"


# What `vmz.settings.engine.environment` tells, as a page calls it.
ENVIRONMENT = {
    "vmz": "VMZ", "engine": "Engine", "device": "Device", "processes": "Processes", "python": "Python",
    "torch": "PyTorch", "numpy": "NumPy", "pyav": "PyAV", "machine": "Machine",
}  # fmt: skip


def named(environment: Mapping[str, str], date: str) -> dict[str, str]:
    """An environment by names with capitals, after the date of the run."""
    return {"Date": date, **{ENVIRONMENT.get(name, name): entry for name, entry in environment.items()}}


def value(entry: Any) -> str:
    """A setting as text: nothing is a dash, lists are written with commas."""
    if entry is None or entry == "":
        return NONE
    if isinstance(entry, Mapping):
        return ", ".join(f"{name} {value(part)}" for name, part in entry.items())
    if isinstance(entry, (list, tuple)):
        return ", ".join(value(part) for part in entry) or NONE
    return str(entry)
