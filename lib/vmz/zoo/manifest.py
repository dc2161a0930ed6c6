"""The manifest of published models: find a row by name, and the test-time flags it stands for.

`models_zoo/manifest.json` is data; nothing here knows a single model. A row may be asked for by its `name`, by the name
of its file or by the file's stem, whatever the case and with '-' for '_'.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import unquote

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, read_json
from vmz.text import cut, printable, quoted
from vmz.zoo.installed import places_of

FlagValue = Union[str, int, float]
PUBLISHED, FAST = PROTOCOLS = ("published", "fast")
TEN_CENTRE_CROPS = {"clip_per_video": 10, "crop_per_clip": 1, "aggregation": 0}

_TEXT, _COUNT, _NUMBER = (str, None), (int, None), (float, None)
_PUBLISHED = {
    "clip_top1": _NUMBER,
    "video_top1": _NUMBER,
    "video_top5": _NUMBER,
    "gflops": _NUMBER,
    "params_m": _NUMBER,
    "gflops_crop_size": _COUNT,
}
_ROW = {
    "name": str,
    "display_name": str,
    **dict.fromkeys(("file", "url", "format", "initialised_from", "train_data", "pretrain_data", "protocol"), _TEXT),
    "role": str,
    "modality": str,
    "input_fps": _COUNT,
    "input_size_as_printed": _TEXT,
    "flags": Each((str, float, None)),
    "published": _PUBLISHED,
    "external": ({"video_top1": _NUMBER, "video_top5": _NUMBER, "source": str}, None),
    "source": str,
    "remarks": [str],
}
_REMEDY = "see models_zoo/schema.json, or take it from the repository again"
_WITH_SOUND = (2, 3)  # values of input_type
_NEEDED_FLAGS = ("model_name", "crop_size", "input_type", "clip_length_rgb")
_FORM = {"models": [_ROW], "protocols": Each({"flags": Each((str, float)), "remark": str})}

MANIFEST_PLACES = places_of("models_zoo/manifest.json")


@dataclass(frozen=True)
class Published:
    """What the tables print. Accuracies in percent on the validation set of the training data; None: not published.

    `gflops` are multiply-adds (1e9) of one clip at `gflops_crop_size`, which is not always the crop the table names;
    `params_m` is millions of parameters.
    """

    clip_top1: Optional[float]
    video_top1: Optional[float]
    video_top5: Optional[float]
    gflops: Optional[float]
    params_m: Optional[float]
    gflops_crop_size: Optional[int]


@dataclass(frozen=True)
class ZooRow:
    """One published checkpoint, or one that was announced (`file` is None). Facts as published; None: not published."""

    name: str
    display_name: str
    file: Optional[str]
    url: Optional[str]
    format: Optional[str]  # "pkl", "mdl"
    role: str  # "final": scored in the tables; "pretrained": what a final one was fine-tuned from
    initialised_from: Optional[str]  # the name of another row
    train_data: Optional[str]
    pretrain_data: Optional[str]
    modality: str
    input_fps: Optional[int]  # frame rate of the training videos
    input_size_as_printed: Optional[str]
    flags: Mapping[str, Optional[FlagValue]]
    protocol: Optional[str]  # a key of the manifest's protocols
    published: Published
    external: Optional[Mapping[str, Any]]  # accuracy somebody else measured, with its source
    source: str
    remarks: tuple[str, ...]


@cache
def manifest(path: Optional[Path] = None) -> Mapping[str, Any]:
    """The manifest as parsed JSON. Raises VmzError when it is missing or is not JSON."""
    places = (path,) if path is not None else MANIFEST_PLACES
    for place in places:
        if place.is_file():
            return dict(read_json(place, str(place), _FORM, VmzError, _REMEDY))
    raise VmzError(f"no model manifest at {' or '.join(map(str, places))}; work from a clone of the repository")


@cache
def rows(path: Optional[Path] = None) -> tuple[ZooRow, ...]:
    """Every row, in the order of the published tables. Raises VmzError when a row cannot be read."""
    found = tuple(_row(entry) for entry in manifest(path)["models"])
    for row in found:
        lacking = next((flag for flag in _NEEDED_FLAGS if flag not in row.flags), None)
        if lacking is not None:
            raise VmzError(f"manifest row {quoted(row.name)} has no flag {lacking}; {_REMEDY}")
        if row.protocol is not None and row.protocol not in manifest(path)["protocols"]:
            raise VmzError(f"manifest row {quoted(row.name)}: there is no protocol {quoted(row.protocol)}; {_REMEDY}")
    return found


def find(name: str) -> ZooRow:
    """The row called `name` (or whose file is). Raises UsageError naming the closest ones."""
    wanted = _normalised(name)
    known: dict[str, ZooRow] = {}
    for row in rows():
        for alias in _aliases(row):
            known.setdefault(alias, row)
    if wanted in known:
        return known[wanted]
    names = [row.name for row in rows()]
    close = difflib.get_close_matches(wanted, names, n=3) or [n for n in names if wanted and wanted in n][:3]
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    raise UsageError(f"no published model is called {name!r}; {hint}tools/zoo.py list shows all {len(names)}")


def select(model_name: Optional[str] = None, data: Optional[str] = None) -> tuple[ZooRow, ...]:
    """Rows of a network (exactly) and of a data set (part of the name of the training or pre-training data).

    Raises UsageError when nothing is left, listing what there is.
    """
    chosen: Iterable[ZooRow] = rows()
    if model_name is not None:
        chosen = [row for row in chosen if row.flags["model_name"] == model_name]
        if not chosen:
            names = sorted({str(row.flags["model_name"]) for row in rows()})
            raise UsageError(f"no published model has --model_name={model_name}; there are {', '.join(names)}")
    if data is not None:
        wanted = _normalised(data)
        chosen = [row for row in chosen if any(wanted in _normalised(part) for part in _data_names(row))]
        if not chosen:
            names = sorted({part for row in rows() for part in _data_names(row)})
            raise UsageError(f"no such model was trained on --data={data}; there are {', '.join(names)}")
    return tuple(chosen)


def row_of(name: Optional[str], path: Optional[str]) -> Optional[ZooRow]:
    """The published model of that name, or else the one whose file `path` has the name of; None for one's own.

    Raises UsageError for an unknown name.
    """
    if name:
        return find(name)
    return row_of_file(path) if path else None


def row_of_file(path: Union[str, Path]) -> Optional[ZooRow]:
    """The row whose file has the name of `path`, whatever the case; None for a file that was not published."""
    name = unquote(Path(path).name).lower()  # some browsers store the %20 of two published names as a space
    return next((row for row in rows() if row.file is not None and unquote(row.file).lower() == name), None)


def flags(row: ZooRow, given: Collection[str] = ()) -> dict[str, FlagValue]:
    """The network of a row and the input that the table prints.

    `given` are flags that the user states. Raises UsageError naming those that were not published and are not given.
    """
    refuse_unpublished(row, given)
    return {flag: value for flag, value in row.flags.items() if value is not None}


def protocol_flags(row: ZooRow, protocol: str = PUBLISHED) -> dict[str, Optional[FlagValue]]:
    """Flags of test_net for a row, None for a value that was not published.

    protocol: PUBLISHED, the test that the published figures come from, as far as test_net can run it (ten clips, one
    centre crop where no other is published); FAST, ten clips and one centre crop of the size that the table prints.
    """
    return {**row.flags, **TEN_CENTRE_CROPS, **(published_test(row) if protocol == PUBLISHED else {})}


def published_test(row: ZooRow) -> dict[str, FlagValue]:
    """The flags of the test that its figures come from, as far as they were published, on top of the row's own."""
    return dict(manifest()["protocols"][row.protocol]["flags"]) if row.protocol is not None else {}


def hears(row: ZooRow) -> bool:
    """Whether a model takes sound, beside RGB or alone: such networks cannot be built yet."""
    return row.flags["input_type"] in _WITH_SOUND


def refuse_sound(row: ZooRow) -> None:
    """Raise UsageError for a model that `hears`."""
    if hears(row):
        raise UsageError(
            f"{row.name} is an audio-visual network ({row.modality}), which cannot run yet; "
            "vmz zoo list marks such models"
        )


def refuse_unpublished(row: ZooRow, known: Collection[str]) -> None:
    """Raise UsageError naming the flags of a row that were never published and are not `known` from elsewhere.

    A default in their place would score another network in silence.
    """
    unknown = [flag for flag, value in row.flags.items() if value is None and flag not in known]
    if unknown:
        options = ", ".join(f"--{flag}" for flag in unknown)
        raise UsageError(f"{row.name}: its {', '.join(unknown)} was not published; give {options} as well")


def _row(entry: Mapping[str, Any]) -> ZooRow:
    try:
        fields = dict(entry, published=Published(**entry["published"]), remarks=tuple(entry["remarks"]))
        return ZooRow(**fields)
    except TypeError as error:  # a name that no row has
        raise VmzError(
            f"manifest row {quoted(entry['name'])}: {cut(printable(str(error)))}; see models_zoo/schema.json"
        ) from error


def _normalised(text: str) -> str:
    return text.strip().lower().replace("-", "_")


def _aliases(row: ZooRow) -> list[str]:
    names = [_normalised(row.name)]
    if row.file is not None:
        names += [_normalised(row.file), _normalised(row.file.rsplit(".", 1)[0])]
    return names


def _data_names(row: ZooRow) -> list[str]:
    return [name for name in (row.train_data, row.pretrain_data) if name is not None]
