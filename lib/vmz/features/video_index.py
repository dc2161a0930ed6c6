"""index.json of a folder of features: which videos are extracted there, and with what settings, the same for all."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vmz.datasets.inventory import file_content
from vmz.errors import UsageError, VmzError
from vmz.evaluation.recorded_settings import differences, read_account, refuse_other
from vmz.files import write_json

INDEX = "index.json"
ENTRY = {
    "path": str,
    "bytes": (int, None),
    "content?": (str, None),
    "file?": str,
    "times?": str,
    "clips?": int,
    "frames?": (int, None),
    "seconds?": (float, None),
    "ended_by?": (str, None),
    "skipped?": str,
    "times_mended?": (int, None),
}
WHOLE = ("file", "clips", "seconds", "frames", "ended_by")  # what an entry of a video with features has
FORM = {"videos": [ENTRY], "settings?": dict}
Entry = dict[str, Any]


def entry_of(path: str) -> Entry:
    """The beginning of a video's entry: where it is, and what tells it from another one of its name.

    Nothing is known of the content of a file that cannot be read; why not is for the reader to say.
    """
    try:
        length, digest = file_content(path)
    except OSError:
        return {"path": path, "bytes": None, "content": None}
    return {"path": path, "bytes": length, "content": digest.hex()}


def earlier_entries(folder: Path, wanted: Mapping[str, Any], paths: Sequence[str], resume: bool) -> list[Entry]:
    """The entries of finished runs that stay in the index of this one, which is of the settings `wanted`.

    Raises UsageError where the folder is of other settings, which `resume` off replaces, as long as no other video's
    features would be left among those of this run; VmzError for an index that is damaged.
    """
    path = folder / INDEX
    if not path.exists():
        return []
    if resume:
        index = read_account(path, FORM)
        refuse_other(
            f"{path} was written by a finished run",
            index.get("settings", {}),
            wanted,
            "use those, another --output_path, or replace its features with --resume=0",
        )
        return list(index["videos"])
    try:
        index = read_account(path, FORM)
    except VmzError:
        index = {}  # it is replaced
    names = {os.path.basename(one) for one in paths}
    others = [entry for entry in index.get("videos", []) if os.path.basename(entry["path"]) not in names]
    found = differences(index.get("settings", {}), wanted)
    if found and others:
        raise UsageError(
            f"{folder} contains features of {len(others)} other videos, for example {others[0]['path']}, with other "
            f"settings ({found[0]}); give another --output_path"
        )
    if others:
        write_json(path, {**index, "videos": others})
    else:
        path.unlink()
    return others


def reusable(entries: Sequence[Entry], folder: Path, paths: Sequence[str], keep_skipped: bool) -> dict[str, Entry]:
    """Of the videos `paths` those whose features are there: their entries, by path.

    A video whose bytes have changed since is not among them; neither is one that was left out, unless `keep_skipped`.
    Raises UsageError where the folder holds the features of another video of the same name.
    """
    by_name = {os.path.basename(entry["path"]): entry for entry in entries}
    found = {}
    for path in paths:
        before = by_name.get(os.path.basename(path))
        if before is None:
            continue
        now = entry_of(path)
        if "skipped" not in before and not all(part in before for part in WHOLE):
            continue  # what an earlier VMZ wrote, or no run finished
        if before.get("content") == now["content"] and before["bytes"] == now["bytes"]:
            files = [folder / before[part] for part in ("file", "times") if part in before]
            if all(file.exists() for file in files) if files else keep_skipped:
                found[path] = {**before, **now}
        elif os.path.realpath(path) != os.path.realpath(before["path"]):
            raise UsageError(
                f"{folder} contains the features of {before['path']}, a different video than {path} with the same "
                "name; extract them into different folders"
            )
    return found


def merged(entries: Sequence[Entry], earlier: Sequence[Entry]) -> list[Entry]:
    """The entries of this run and those of earlier ones for other videos, in the order of their paths."""
    names = {os.path.basename(entry["path"]) for entry in entries}
    kept = [entry for entry in earlier if os.path.basename(entry["path"]) not in names]
    return sorted([*entries, *kept], key=lambda entry: str(entry["path"]))
