"""Names of classes: what is known of each data set of the zoo, and where the names come from. None is guessed."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

from vmz.errors import UsageError, VmzError
from vmz.file_formats.class_names import read_names
from vmz.file_formats.json_files import Each, read_json
from vmz.zoo.installed import places_of
from vmz.zoo.manifest import ZooRow

_FORM = {"label_sets": Each({"source": str, "order": str, "names": [str]})}
_REMEDY = "take it from the repository again"

# Data sets whose names are not part of VMZ, and why.
_ELSEWHERE = {
    "ucf101": "its names are in classInd.txt of the official lists; give that file as --label_names",
    "hmdb51": "its names are the official lists' file names; data/dataset_list.py --classes_output writes them",
    "sports1m": "its names are in labels.txt of the official repository; give that file as --label_names",
    "ig-65m": "the names of its 359 labels (487 in later models) were never published",
    "audioset": "its names are in class_labels_indices.csv of the official site; give that file as --label_names",
}


@dataclass(frozen=True)
class LabelSet:
    """names: in the order of the labels. source: where they come from. order: why they are in this order."""

    name: str
    names: tuple[str, ...]
    source: str
    order: str


def labels(name: str) -> LabelSet:
    """The label set of a data set, whatever the case of its name and with or without '-'.

    Raises UsageError for one whose names are not known, with where to get them.

    >>> labels("kinetics-400").names[:2]
    ('abseiling', 'air drumming')
    """
    known = label_sets()
    for key, found in known.items():
        if _plain(key) == _plain(name):
            return found
    for key, why in _ELSEWHERE.items():
        if _plain(key) == _plain(name):
            raise UsageError(f"VMZ has no class names of {name}: {why}")
    close = difflib.get_close_matches(name.lower(), known, 1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise UsageError(f"unknown label set {name!r}; {hint}choose from: {', '.join(known)}")


def labels_of(row: ZooRow, num_labels: object = None) -> Optional[LabelSet]:
    """The names of a published model's classes: those of the file that a private zoo names, or of the training data.

    None where they are not known, or are not as many as `num_labels` (by default the row's). Raises UsageError for a
    file of names that cannot be read, VmzError for one that has not as many as the model has classes.
    """
    own = row.flags.get("num_labels")
    wanted = own if num_labels is None else num_labels
    if row.labels is not None:
        path = Path(row.manifest or "").parent / row.labels
        names = read_names(path, f"the labels of {row.name}")
        if own is not None and len(names) != own:
            raise VmzError(f"the labels of {row.name}, {path}, are {len(names)}, but the model has {own} classes")
        return LabelSet(row.name, tuple(names), str(path), "as in the file") if len(names) == wanted else None
    for found in label_sets().values():
        if row.train_data and _plain(row.train_data) == _plain(found.name) and len(found.names) == wanted:
            return found
    return None


@cache
def label_sets() -> Mapping[str, LabelSet]:
    """{name: label set} of models_zoo/labels.json. Raises VmzError where it is missing or damaged."""
    places = places_of("models_zoo/labels.json")
    for place in places:
        if place.is_file():
            sets = read_json(place, str(place), _FORM, VmzError, _REMEDY)["label_sets"]
            return {
                name: LabelSet(name, tuple(entry["names"]), entry["source"], entry["order"])
                for name, entry in sets.items()
            }
    raise VmzError(f"there is no file of class names at {' or '.join(map(str, places))}; {_REMEDY}")


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())
