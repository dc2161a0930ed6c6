"""The manifest of published models, and those of private zoos: find a row by name, and the flags that it stands for.

`models_zoo/manifest.json` is data; nothing here knows a single model. A row may be asked for by its `name`, by the name
of its file or by the file's stem, whatever the case and with '-' for '_'. A private zoo is one more file of this kind,
which $VMZ_ZOO or --zoo_manifest names.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional, Union
from urllib.parse import unquote

from vmz.errors import UsageError, VmzError
from vmz.file_formats.json_files import Each, read_json
from vmz.netdef.video_outputs import HEARING
from vmz.text import cut, printable, quoted
from vmz.zoo.installed import places_of

FlagValue = Union[str, int, float]
PUBLISHED, FAST = PROTOCOLS = ("published", "fast")
ZOO = "VMZ_ZOO"
TEN_CENTRE_CROPS = {"clip_per_video": 10, "crop_per_clip": 1, "aggregation": 0}

_TEXT, _COUNT, _NUMBER = (str, None), (int, None), (float, None)
_NAMES = {"model_name": str, "pred_layer_name?": _TEXT}
_FACTORS = dict.fromkeys(("channel_multiplier?", "bottleneck_multiplier?"), float)
_NEEDED = ("crop_size", "input_type", "clip_length_rgb")
FLAGS = {
    **_NAMES,
    **_FACTORS,
    **dict.fromkeys(_NEEDED, _COUNT),
    **dict.fromkeys(
        (
            "model_depth?", "num_labels?", "num_channels?", "sampling_rate_rgb?", "clip_length_of?",
            "sampling_rate_of?", "frame_gap_of?", "flow_data_type?", "do_flow_aggregation?", "video_res_type?",
            "scale_h?", "scale_w?", "use_pool1?", "batch_size?", "multi_label?", "conv1_temporal_stride?",
            "conv1_temporal_kernel?", "fps?",
        ),
        _COUNT,
    ),
}  # fmt: skip
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
    "flags": FLAGS,
    "published": _PUBLISHED,
    "external": ({"video_top1": _NUMBER, "video_top5": _NUMBER, "source": str}, None),
    "source": str,
    "remarks": [str],
    "mirrors?": [str],
    "bytes?": _COUNT,
    **dict.fromkeys(("sha256?", "labels?", "licence?", "paper?"), _TEXT),
}
_REMEDY = "see models_zoo/schema.json, or take it from the repository again"
_PRIVATE_REMEDY = "see models_zoo/schema.json"
_FORM = {
    "models": [_ROW],
    "protocols": Each({"flags": Each(int), "remark": str}),
    "data_recipes?": Each({"source": str, **dict.fromkeys(("frame_rate", "short_side", "seconds"), _NUMBER)}),
    "licence?": _TEXT,
    "papers?": Each(str),
}
_PATTERNS = {  # of fields whose text has a form
    "name": re.compile(r"[a-z0-9_]+"),
    "file": re.compile(r"[^/\s]+\.(pkl|mdl|pth|pt|safetensors)"),
    "sha256": re.compile(r"[0-9a-fA-F]{64}"),
}

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
    mirrors: tuple[str, ...] = ()  # other addresses of the file, asked after `url`
    sha256: Optional[str] = None
    bytes: Optional[int] = None
    labels: Optional[str] = None  # file of class names, beside the manifest
    licence: Optional[str] = None
    paper: Optional[str] = None
    manifest: Optional[str] = None  # the file that it is in, where that is a private zoo


@cache
def manifest(path: Optional[Path] = None) -> Mapping[str, Any]:
    """The manifest as parsed JSON. Raises VmzError when it is missing or is not JSON."""
    places = (path,) if path is not None else MANIFEST_PLACES
    for place in places:
        if place.is_file():
            return dict(read_json(place, str(place), _FORM, VmzError, _REMEDY if path is None else _PRIVATE_REMEDY))
    raise VmzError(f"no model manifest at {' or '.join(map(str, places))}; work from a clone of the repository")


def rows(path: Optional[Path] = None) -> tuple[ZooRow, ...]:
    """Every row, in the order of the published tables, then of the private zoos; or of the manifest `path` alone.

    Raises VmzError when a row cannot be read, UsageError for a private zoo that is not there, or that has a name of
    another one.
    """
    return _rows_of(path) if path is not None else _all_rows(private_manifests())


@cache
def _all_rows(private: tuple[Path, ...]) -> tuple[ZooRow, ...]:
    found = {row.name: row for row in _rows_of(None)}
    for path in private:
        for row in _rows_of(path):
            if row.name in found:
                first = found[row.name].manifest or "the published manifest"
                raise UsageError(
                    f"the model {row.name} is in {printable(first)} and in {printable(str(path))}; rename one of them"
                )
            found[row.name] = row
    return tuple(found.values())


@cache
def _rows_of(path: Optional[Path]) -> tuple[ZooRow, ...]:
    content = manifest(path)
    where = "manifest" if path is None else printable(str(path))
    found = tuple(_row(entry, where, path) for entry in content["models"])
    for row in found:
        if row.protocol is not None and row.protocol not in content["protocols"]:
            raise VmzError(f"{where} row {quoted(row.name)}: there is no protocol {quoted(row.protocol)}; {_REMEDY}")
    names = [row.name for row in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise VmzError(f"{where} has two rows that are called {quoted(twice)}; rename one of them")
    return found


def use_manifests(paths: Optional[str]) -> None:
    """Add private zoos, several with os.pathsep between them, for this process and those that it starts."""
    known = os.environ.get(ZOO, "").split(os.pathsep)
    new = [os.path.abspath(path) for path in (paths or "").split(os.pathsep) if path]
    if new:
        os.environ[ZOO] = os.pathsep.join(dict.fromkeys([*filter(None, known), *new]))


def private_manifests() -> tuple[Path, ...]:
    """The private zoos. Raises UsageError for one that is not there."""
    given = [path for path in os.environ.get(ZOO, "").split(os.pathsep) if path]
    for path in given:
        if not os.path.isfile(path):
            raise UsageError(f"{ZOO}={printable(path)}: there is no such file; it must name the manifest of a zoo")
    return tuple(dict.fromkeys(Path(os.path.realpath(path)) for path in given))


def manifest_of(row: ZooRow) -> Mapping[str, Any]:
    """The manifest that a row is in."""
    return manifest(Path(row.manifest) if row.manifest is not None else None)


def protocol_of(row: ZooRow) -> Optional[Mapping[str, Any]]:
    """The test that the row's figures come from: its "flags", "remark" and "source". None: not published."""
    return None if row.protocol is None else dict(manifest_of(row)["protocols"][row.protocol])


def data_recipe(row: ZooRow) -> Mapping[str, Any]:
    """How the videos of the row's training data were encoded; {} where that is not known."""
    return dict(manifest_of(row).get("data_recipes", {}).get(row.train_data, {}))


def facts(row: ZooRow) -> dict[str, str]:
    """What is known of the row's "licence" and "paper"."""
    content = manifest_of(row)
    papers = content.get("papers", {})
    named = [papers.get(name) for name in (row.flags["model_name"], *_data_names(row))]
    found = {
        "licence": row.licence or content.get("licence"),
        "paper": row.paper or ", ".join(dict.fromkeys(filter(None, named))),
    }
    return {name: text for name, text in found.items() if text}


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
    for row in rows():
        if row.file is None or unquote(row.file).lower() != name:
            continue
        if row.manifest is None or _is_the_file(row, path):  # a private zoo's best.pkl is not everybody's
            return row
    return None


def _is_the_file(row: ZooRow, path: Union[str, Path]) -> bool:
    from vmz.zoo.cache import cached

    own = cached(row)
    return own is not None and os.path.realpath(own) == os.path.realpath(path)


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
    protocol = protocol_of(row)
    return dict(protocol["flags"]) if protocol is not None else {}


def hears(row: ZooRow) -> bool:
    """Whether a model takes sound, beside RGB or alone."""
    return row.flags["input_type"] in HEARING


def refuse_unpublished(row: ZooRow, known: Collection[str]) -> None:
    """Raise UsageError naming the flags of a row that were never published and are not `known` from elsewhere.

    A default in their place would score another network in silence.
    """
    unknown = [flag for flag, value in row.flags.items() if value is None and flag not in known]
    if unknown:
        options = ", ".join(f"--{flag}" for flag in unknown)
        raise UsageError(f"{row.name}: its {', '.join(unknown)} was not published; give {options} as well")


def _row(entry: Mapping[str, Any], where: str, path: Optional[Path]) -> ZooRow:
    name = quoted(entry["name"])
    for field, pattern in _PATTERNS.items():
        if entry.get(field) is not None and not pattern.fullmatch(entry[field]):
            raise VmzError(f"{where} row {name}: {field} is {quoted(entry[field])}; {_PRIVATE_REMEDY}")
    unknown = next((flag for flag in entry["flags"] if flag not in FLAGS and f"{flag}?" not in FLAGS), None)
    if unknown is not None:
        raise VmzError(f"{where} row {name}: it has an unknown flag {quoted(unknown)}; {_PRIVATE_REMEDY}")
    if (entry["file"] is None) != (entry["url"] is None):
        raise VmzError(f"{where} row {name}: file and url must both be there, or both be null; {_PRIVATE_REMEDY}")
    try:
        fields = dict(entry, published=Published(**entry["published"]))
        fields.update({field: tuple(entry.get(field, ())) for field in ("remarks", "mirrors")})
        return ZooRow(**fields, manifest=None if path is None else str(path))
    except TypeError as error:  # a name that no row has
        raise VmzError(f"{where} row {name}: {cut(printable(str(error)))}; {_PRIVATE_REMEDY}") from error


def _normalised(text: str) -> str:
    return text.strip().lower().replace("-", "_")


def _aliases(row: ZooRow) -> list[str]:
    names = [_normalised(row.name)]
    if row.file is not None:
        names += [_normalised(row.file), _normalised(row.file.rsplit(".", 1)[0])]
    return names


def _data_names(row: ZooRow) -> list[str]:
    return [name for name in (row.train_data, row.pretrain_data) if name is not None]
