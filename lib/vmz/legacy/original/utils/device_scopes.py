"""Which blobs are a device's: those in scope gpu_<id>, as the original names it whatever it is, or in cpu_<id>."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple, Optional

from vmz.errors import UsageError
from vmz.netdef.blob_names import scoped

_DEVICE = re.compile(r"(?P<kind>gpu|cpu)_(?P<number>\d+)/")


class Placed(NamedTuple):
    """A blob of a device: `kind` gpu or cpu, its number, the name within its scope."""

    kind: str
    number: str
    name: str


def placed(name: str) -> Optional[Placed]:
    """Whose a blob with this full name is; None where it is no device's."""
    found = _DEVICE.match(name)
    return Placed(found["kind"], found["number"], name[found.end() :]) if found else None


def on(kind: str, number: object, name: str) -> str:
    """The full name of a device's blob."""
    return scoped(name, f"{kind}_{number}")


def on_device(names: Iterable[str], number: int, for_what: str, absent: str) -> list[str]:
    """Those of `names`, full names of blobs, that are on device `number`; of a model without devices all.

    UsageError, naming `for_what`, where there is none; `absent` says what to do where there is no name at all.
    """
    names = list(dict.fromkeys(names))
    for kind in ("gpu", "cpu"):
        found = [name for name in names if name.startswith(on(kind, number, ""))]
        if found:
            return found
    devices = sorted({f"{place.kind}_{place.number}" for place in map(placed, names) if place})
    if names and not devices:
        return names
    where = f"they are in {', '.join(devices)}" if devices else absent
    raise UsageError(f"{for_what} finds no blob of the model on device {number} (scope gpu_{number}); {where}")
