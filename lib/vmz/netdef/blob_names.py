"""Names of blobs: in full inside a device's scope ("gpu_0/conv1_w"), and without it, as in checkpoints ("conv1_w")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from vmz.errors import VmzError

SCOPE = "gpu_0"  # the first device's, as the original names it whatever it is
Value = TypeVar("Value")


def scoped(blob: str, scope: str) -> str:
    """The full name of a blob that is named within `scope`, "" for none."""
    return f"{scope}/{blob}" if scope else blob


def is_scoped(blob: str) -> bool:
    """Whether a name has a scope, so that it is a full one."""
    return "/" in blob


def unscoped(blob: str) -> str:
    """The name without its scopes: the part after the last "/"."""
    return blob.rpartition("/")[2]


def first_of_each(arrays: Mapping[str, Value]) -> dict[str, Value]:
    """The same values by names without scope. Of several devices' copies of a blob the first one counts."""
    found: dict[str, Value] = {}
    for name, array in arrays.items():
        found.setdefault(unscoped(name), array)
    return found


def without_scopes(arrays: Mapping[str, Value]) -> dict[str, Value]:
    """The same values by names without scope. VmzError for two of one name, as of two devices: which one counts?"""
    found: dict[str, Value] = {}
    for name, array in arrays.items():
        if unscoped(name) in found:
            raise VmzError(f"blob {unscoped(name)} appears twice, once as {name}; give one device's blobs")
        found[unscoped(name)] = array
    return found


def meant(name: str, blobs: Iterable[str]) -> list[str]:
    """The blobs, given in full, that `name` may mean: that one, or else all whose name without scope it is."""
    known = dict.fromkeys(blobs)
    return [name] if name in known else [blob for blob in known if unscoped(blob) == name]


def full_name(name: str, blobs: Iterable[str]) -> str:
    """The blob that `name` means: itself, or the only one whose name without scope it is. VmzError otherwise."""
    known = dict.fromkeys(blobs)
    found = meant(name, known)
    if len(found) == 1:
        return found[0]
    if found:
        raise VmzError(f"blob {name} is ambiguous: it may be {', '.join(found)}; give the full name")
    raise VmzError(f"no blob {name} in the net; among its {len(known)} blobs are {', '.join(list(known)[-5:])}")
