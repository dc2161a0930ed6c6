"""The members of a zip archive, looked at before anything is unpacked."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable

from vmz.errors import VmzError
from vmz.text import counted, quoted

MOST_MEMBERS = 10_000
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def check_members(
    members: Iterable[zipfile.ZipInfo], most: int, writer: str = "numpy", methods: Collection[int] = PACKED
) -> None:
    """Raise VmzError for members that are encrypted, packed by other `methods` than those of `writer`, twice in the
    archive, more than MOST_MEMBERS, or larger, unpacked, than `most` bytes.
    """
    members = list(members)
    if len(members) > MOST_MEMBERS:
        raise VmzError(f"it contains {counted(len(members), 'file')}, more than {MOST_MEMBERS}")
    seen: set[str] = set()
    for member in members:
        what = f"its member {quoted(member.filename)}"
        if member.flag_bits & _ENCRYPTED:
            raise VmzError(f"{what} is encrypted")
        if member.compress_type not in methods:
            raise VmzError(f"{what} is packed in a way that {writer} does not use ({member.compress_type})")
        if member.filename in seen:
            raise VmzError(f"{what} appears twice")
        seen.add(member.filename)
    size = sum(member.file_size for member in members)
    if size > most:
        raise VmzError(f"it would have {counted(size, 'byte')} unpacked, and {most} is the most for a file of its size")
