"""Folders of models from the Hugging Face Hub, hf-hub:org/name or hf-hub:org/name@revision, by way of the cache.

What is in the cache is used, without a look at the network; so a branch's files are those of the first time.
$HF_ENDPOINT: another server than https://huggingface.co. Public repositories only: no token is sent.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional
from urllib.parse import quote

from vmz.checkpoints.folders import CLIPS, CONFIG, FORMAT, LABELS, WEIGHTS, is_model_folder, read_folder_about
from vmz.errors import UsageError, VmzError
from vmz.processes import identity
from vmz.text import quoted
from vmz.zoo.cache import Fetched, folder, make_folder, note, record, refuse_offline, shown, verified
from vmz.zoo.download import PATIENT, AbsentError, Patience, download

HUB, LOCAL = "hf-hub:", "local-dir:"
ENDPOINT, PUBLIC = "HF_ENDPOINT", "https://huggingface.co"
_NAME = re.compile(r"([A-Za-z0-9][\w.-]*)/([A-Za-z0-9][\w.-]*)(?:@([\w][\w./-]*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
MAIN = "main"


def is_hub_name(name: str) -> bool:
    """Whether it is hf-hub:..."""
    return name.startswith(HUB)


def local_path(name: str, patience: Patience = PATIENT) -> str:
    """The path of hf-hub:org/name, which is fetched, and of local-dir:/path; any other text as it is.

    Of several processes of a machine one fetches. Raises what `fetch_hub` raises, and UsageError for a local-dir: that
    is no folder.
    """
    if name.startswith(LOCAL):
        path = name[len(LOCAL) :]
        if not os.path.isdir(path):
            raise UsageError(f"{name}: there is no folder {path or 'without a name'}")
        return path
    if not is_hub_name(name):
        return name
    target = hub_folder(name)
    while identity.world_size() > 1 and identity.local_rank() and not is_model_folder(target):
        time.sleep(0.5)
    return str(fetch_hub(name, patience))


def hub_folder(name: str) -> Path:
    """Where the files of hf-hub:... are in the cache, or would be. Raises UsageError for a name that is none."""
    owner, repository, revision = _parts(name)
    return folder() / "hub" / f"{owner}--{repository}@{revision.replace('/', '--')}"


def fetch_hub(name: str, patience: Patience = PATIENT, again: bool = False, quiet: bool = False) -> Path:
    """The folder of hf-hub:..., fetched if it is not in the cache, or `again`.

    The weights come last, so that where they are the folder is whole. Raises UsageError for a name that is none, a
    repository that is not one of VMZ, and where the network is forbidden, VmzError where the server does not give it.
    """
    target = hub_folder(name)
    if is_model_folder(target) and not again:
        return target
    owner, repository, revision = _parts(name)
    refuse_offline(name, folder())
    make_folder(target)
    server = os.environ.get(ENDPOINT, "").rstrip("/") or PUBLIC
    base = f"{server}/{owner}/{repository}/resolve/{quote(revision, safe='')}"
    for file in (CONFIG, CLIPS, LABELS, WEIGHTS):
        path = target / file
        key = path.relative_to(folder()).as_posix()
        known = record().get(key) if _COMMIT.fullmatch(revision) else None  # a branch may have moved on
        try:
            received = download(
                [f"{base}/{file}"],
                path,
                known.sha256 if known is not None else None,
                patience,
                shown(f"{name}/{file}", quiet or file != WEIGHTS),
            )
        except AbsentError as error:
            if file == LABELS:
                path.unlink(missing_ok=True)
                continue
            raise VmzError(
                f"{name} has no {file} at {server} (it answers 404); is the name of the repository and of the revision "
                f"right, and is it a model that VMZ saved (vmz_format {FORMAT})?"
            ) from error
        note(key, received)
        if file in (CLIPS, LABELS):
            _check(name, target)  # what is no model of VMZ is refused before its weights are fetched
    return target


def verify_hub(name: str) -> Sequence[tuple[Path, Fetched]]:
    """Each file of a fetched folder, held against what came. Raises UsageError where it is not here, VmzError."""
    target = hub_folder(name)
    if not is_model_folder(target):
        raise UsageError(f"{name} is not in {folder()}; run tools/zoo.py fetch {name} to download it")
    paths = [target / file for file in (CONFIG, CLIPS, LABELS, WEIGHTS) if (target / file).is_file()]
    return [(path, verified(path)) for path in paths]


def _check(name: str, target: Path) -> None:
    try:
        read_folder_about(target)
    except VmzError as error:
        raise type(error)(f"{name}: {error}") from error


def _parts(name: str) -> tuple[str, str, str]:
    found = _NAME.fullmatch(name[len(HUB) :]) if is_hub_name(name) else None
    revision: Optional[str] = found[3] if found is not None else None
    if found is None or ".." in name or (revision or "").endswith("/"):
        raise UsageError(
            f"{quoted(name)} is not a name of the hub; it must be hf-hub:org/name or hf-hub:org/name@revision"
        )
    return found[1], found[2], revision or MAIN
