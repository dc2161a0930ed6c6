"""Which blobs are a device's: those in scope gpu_<id>, as the original names it whatever it is, or in cpu_<id>."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vmz.errors import UsageError

_DEVICE = re.compile(r"((?:gpu|cpu)_\d+)/")


def on_device(names: Iterable[str], number: int, for_what: str, absent: str) -> list[str]:
    """Those of `names`, full names of blobs, that are on device `number`; of a model without devices all.

    UsageError, naming `for_what`, where there is none; `absent` says what to do where there is no name at all.
    """
    names = list(dict.fromkeys(names))
    for scope in (f"gpu_{number}/", f"cpu_{number}/"):
        found = [name for name in names if name.startswith(scope)]
        if found:
            return found
    devices = sorted({place[1] for place in map(_DEVICE.match, names) if place})
    if names and not devices:
        return names
    where = f"they are in {', '.join(devices)}" if devices else absent
    raise UsageError(f"{for_what} finds no blob of the model on device {number} (scope gpu_{number}); {where}")
