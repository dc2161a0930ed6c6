"""What an extraction depends on. It is kept beside the features: in the work folder while they are made, then for good.

So a stopped run goes on, a finished one is not done again, and features of other settings are not replaced unasked.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, read_json
from vmz.files import write_json
from vmz.settings.reader import ReaderSettings
from vmz.settings.setting import Settings
from vmz.text import cut, printable
from vmz.video.database.fingerprint import fingerprint as database_fingerprint
from vmz.video.faults import BAD_VIDEO, ENDED_EARLY, WITHOUT_SOUND

SETTINGS = "settings.json"
# Flags on which no feature depends: where the run is, what it prints, which videos, what to do about bad ones; and
# those that `settings` has under a better name.
NEUTRAL = (
    "output_path", "device", "num_gpus", "gpus", "num_decode_threads", "video_timeout", "display_iter", "debug",
    "resume", "zoo", "zoo_manifest", "protocol", "videos", "on_bad_video", "sanity_check", "load_model_path", "db_type",
    "save_h5", "video_format", "channels_last", "kernels",
)  # fmt: skip
# What runs had, and did not record, before there was a choice.
ADDED_LATER = {
    "precision": "fp32", "audio_input_3d": 0, "g_blend": 0, "on_missing_audio": "zeros", "audio_timestamps": 0,
}  # fmt: skip
MOST_SHOWN = 4  # differences in a sentence
PLAIN = (str, int, float, bool, type(None), list, tuple)  # what a flag's value can be


def settings(
    config: Settings, weights: Optional[Mapping[str, np.ndarray]], form: str, unused: Collection[str]
) -> dict[str, Any]:
    """All that the features depend on, as JSON.

    weights: as they go into the network, None for an untrained one. unused: flags that this kind of extraction has no
    use for.
    """
    left_out = {*NEUTRAL, *unused}
    found = {name: value for name, value in config.flags().items() if name not in left_out and isinstance(value, PLAIN)}
    found.update(format=form, weights="untrained" if weights is None else fingerprint(weights))
    if isinstance(config, ReaderSettings) and config.test_data and os.path.exists(config.database):
        found["test_data"] = database_fingerprint(config.database)
        found.update({name: config.local_files for name in ("use_local_file",) if name in found})
    return dict(json.loads(json.dumps(found)))


def fingerprint(weights: Mapping[str, np.ndarray]) -> str:
    """Tells weights apart, wherever they come from: a file that is moved or converted keeps it."""
    digest = hashlib.sha256()
    for name in sorted(weights):
        array = np.ascontiguousarray(weights[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return f"sha256 {digest.hexdigest()[:16]}"


def differences(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Each setting that differs, with both values, in words."""
    missing = object()
    before, wanted = {**ADDED_LATER, **before}, {**ADDED_LATER, **wanted}
    return [
        f"{name}: {_shown(before, name)}, now {_shown(wanted, name)}"
        for name in sorted({*before, *wanted})
        if before.get(name, missing) != wanted.get(name, missing)
    ]


def _shown(found: Mapping[str, Any], name: str) -> str:
    return (
        "not recorded"
        if name not in found
        else "not given"
        if found[name] is None
        else cut(printable(str(found[name])))
    )


def refuse_other(what: str, before: Mapping[str, Any], wanted: Mapping[str, Any], remedy: str) -> None:
    """Raise UsageError where the settings of `what` are not those of this run."""
    found = differences(before, wanted)
    if found:
        more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
        raise UsageError(f"{what} with other settings ({'; '.join(found[:MOST_SHOWN])}{more}); {remedy}")


_MIXED = ("test_data", "engine", "batch_size", "format", "features")  # what parts of a data set may differ in


def refuse_mixed(files: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Raise UsageError where files that are put together are not of one network and one way to look at the videos.

    files: (path, the settings that it was made with). Each is of a database of its own: parts of a data set.
    """
    databases: dict[str, str] = {}
    for path, settings in files:
        first, reference = files[0]
        found = differences(*({**one, **dict.fromkeys(_MIXED)} for one in (reference, settings)))
        if found:
            more = f"; and {len(found) - MOST_SHOWN} more" if len(found) > MOST_SHOWN else ""
            raise UsageError(
                f"{first} and {path} come from different runs ({'; '.join(found[:MOST_SHOWN])}{more}); give files of "
                "one network, made with the same settings"
            )
        database = settings.get("test_data")
        if database in databases:
            raise UsageError(
                f"{databases[database]} and {path} come from the same database; its videos would count twice"
            )
        databases[str(database)] = path


def claim(work: Path, wanted: Mapping[str, Any], resume: bool) -> None:
    """Make the work folder, or go on with one of the same settings. Raises UsageError where they are others."""
    if work.exists() and not resume:
        shutil.rmtree(work)
    work.mkdir(exist_ok=True)
    path = work / SETTINGS
    if path.exists():
        refuse_other(
            f"{work} contains an unfinished run",
            read_account(path),
            wanted,
            "use those, or start again with --resume=0",
        )
        return
    write_json(path, dict(wanted))


# What a finished run keeps beside its file.
ACCOUNT = {
    "bytes?": int,
    "settings?": dict,
    "videos?": int,
    "shapes?": Each([int]),
    "skipped?": [BAD_VIDEO],
    "ended_early?": [ENDED_EARLY],
    "without_sound?": [WITHOUT_SOUND],
    "sanity?": (Each((float, None)), None),
}


def read_account(path: Path, form: Any = dict) -> Any:
    """JSON that an earlier run wrote, of `form` (see file_formats.json_files). VmzError for a file that is damaged."""
    return read_json(path, f"{path} is damaged; it", form, VmzError, "start again with --resume=0")


def account_path(output: str) -> Path:
    """Where the account of a finished file of features is kept: beside it."""
    return Path(f"{output}.json")


def write_account(output: str, account: Mapping[str, Any]) -> None:
    """Keep what became of a finished run: its "settings", and whatever else it tells."""
    write_json(account_path(output), {"bytes": os.path.getsize(output), **account})


def recorded_settings(output: str) -> Optional[dict[str, Any]]:
    """The settings that a file of features was made with; None where they are not recorded, or of another file."""
    path = account_path(output)
    account = read_account(path, ACCOUNT) if path.exists() else {}
    if account.get("bytes") != os.path.getsize(output):
        return None
    settings: Optional[dict[str, Any]] = account.get("settings")
    return settings


def finished_account(output: str, wanted: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """The account of the finished run of the same settings whose file is there; None where there is no file.

    Raises UsageError for a file of other settings, or of unknown ones: it would be lost.
    """
    if not os.path.exists(output):
        return None
    remedy = "another --output_path, or replace the file with --resume=0"
    path = account_path(output)
    account = read_account(path, ACCOUNT) if path.exists() else {}
    if account.get("bytes") != os.path.getsize(output):
        why = f"{path} belongs to another file" if account else f"there is no {path}"
        raise UsageError(f"{output} exists already, and its settings are not recorded ({why}); give {remedy}")
    lacking = next((name for name in ("settings", "videos", "shapes", "skipped") if name not in account), None)
    if lacking is not None:
        raise VmzError(f"{path} is damaged; it has no {lacking!r}; start again with --resume=0")
    refuse_other(f"{output} was written by a finished run", account["settings"], wanted, f"use those, {remedy}")
    return account
