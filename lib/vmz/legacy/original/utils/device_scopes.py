"""In which scope the blobs of a device are: gpu_<id>, as the original names it whatever it is, cpu_<id>, or none."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from vmz.errors import UsageError


def scope_in(blobs: Collection[str], names: Iterable[str], number: int, for_what: str) -> str:
    """The scope, with its slash, in which `blobs` has some of `names`, for device `number`.

    UsageError, naming `for_what`, where none has.
    """
    known, names = set(blobs), list(names)
    for scope in (f"gpu_{number}/", f"cpu_{number}/", ""):
        if any(f"{scope}{name}" in known for name in names):
            return scope
    others = sorted({blob.rpartition("/")[0] for blob in known if blob.rpartition("/")[2] in set(names)})
    where = f"they are in {', '.join(others)}" if others else "run the model's init net and its net first"
    raise UsageError(f"{for_what} finds no blob of the model on device {number} (scope gpu_{number}); {where}")
