"""Figures from scores that were kept of earlier runs (--save_scores), one file or the shards of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.evaluation.recorded_settings import refuse_mixed
from vmz.evaluation.scores import summarise
from vmz.file_formats.json_files import parse_json
from vmz.file_formats.numpy_files import read_npz
from vmz.results.evaluation import Aggregate
from vmz.results.scores import Scores
from vmz.text import counted

CHUNK = 256  # videos at a time: means are taken in float64, which all clips of a large run at once would not fit
KINDS = ("softmax", "prob")


@dataclass(frozen=True)
class SavedScores:
    """One file. clips: float32 (videos, clips, classes); labels: int32 (videos,), or 0/1 (videos, classes).

    aggregation and database are those of the run, None in files of before they were written down; label_names are the
    run's names of the classes, where it knew them.
    """

    path: str
    multi_label: bool
    clips: np.ndarray
    labels: np.ndarray
    keys: list[str]
    aggregation: Optional[int]
    database: Optional[str]
    label_names: Optional[tuple[str, ...]] = None
    made_by: Optional[Mapping[str, Any]] = None  # what the scores depend on, None in files of before

    @property
    def layout(self) -> str:
        """What files must have alike to be put together, in words."""
        kind = KINDS[self.multi_label]
        return f"{kind} of {counted(self.clips.shape[2], 'class')} for {counted(self.clips.shape[1], 'clip')} a video"


def aggregate_files(paths: Sequence[Union[str, Path]], aggregation: Optional[int] = None, top_k: int = 5) -> Aggregate:
    """The figures of the videos of all files together. `aggregation`: 0 mean, 1 maximum, None as the runs had it.

    Raises UsageError for files that do not go together, or that hold a video of a database twice, and what
    read_scores raises.
    """
    parts = [read_scores(path) for path in paths]
    _check_together(parts)
    if aggregation is None:
        used = {part.aggregation or 0 for part in parts}
        if len(used) > 1:
            raise UsageError(
                "some files come from a run with --aggregation=0, some from a run with 1; choose one with --aggregation"
            )
        aggregation = used.pop()
    scores = Scores()
    for part in parts:
        for start in range(0, len(part.keys), CHUNK):
            rows = slice(start, start + CHUNK)
            scores.add(part.clips[rows], part.labels[rows], part.keys[rows], aggregation, keep=False)
    figures, per_class = summarise(scores, top_k, parts[0].multi_label)
    _, clips, classes = parts[0].clips.shape
    files = [part.path for part in parts]
    names = {part.label_names for part in parts}
    known = names.pop() if len(names) == 1 else None
    return Aggregate(figures, per_class, scores, clips, classes, aggregation, top_k, files, known)


def read_scores(path: Union[str, Path]) -> SavedScores:
    """A file that --save_scores wrote. Raises UsageError where there is none, VmzError for anything else than that."""
    arrays = _arrays(path)
    kinds = [kind for kind in KINDS if kind in arrays]
    missing = [name for name in ("label", "key") if name not in arrays]
    if len(kinds) != 1 or missing:
        lacking = f"array {missing[0]!r}" if missing else "either array 'softmax' or array 'prob'"
        raise VmzError(f"{path} lacks {lacking}: it was not written by test_net.py --save_scores")
    clips, label, key = arrays[kinds[0]], arrays["label"], arrays["key"]
    multi_label = kinds[0] == "prob"
    _check_arrays(path, kinds[0], clips, label, key)
    _check_about(path, arrays, clips.shape[1])
    starts = np.flatnonzero(np.r_[True, key[1:] != key[:-1]])
    counts = np.diff(np.r_[starts, len(key)])
    keys = [str(name) for name in key[starts]]
    if len(set(keys)) < len(keys):
        twice = next(name for place, name in enumerate(keys) if name in keys[:place])
        raise VmzError(
            f"{path} contains the clips of record {twice} in two places; the clips of a video must be together"
        )
    if (counts != counts[0]).any():
        odd = int(np.argmax(counts != counts[0]))
        raise VmzError(
            f"{path} contains {counted(counts[odd], 'clip')} of record {keys[odd]} but {counts[0]} of record "
            f"{keys[0]}; "
            "give a file written by one run"
        )
    labels = label[starts]
    if (label != np.repeat(labels, counts[0], axis=0)).any():
        raise VmzError(f"{path} contains several labels for the clips of one record; give a file written by one run")
    return SavedScores(
        path=str(path),
        multi_label=multi_label,
        clips=clips.reshape(len(keys), counts[0], clips.shape[1]),
        labels=labels,
        keys=keys,
        aggregation=int(arrays["aggregation"]) if "aggregation" in arrays else None,
        database=str(arrays["database"]) if "database" in arrays else None,
        label_names=tuple(map(str, arrays["label_names"])) if "label_names" in arrays else None,
        made_by=_made_by(path, arrays),
    )


def _made_by(path: Union[str, Path], arrays: Mapping[str, np.ndarray]) -> Optional[Mapping[str, Any]]:
    text = str(arrays["made_by"]) if "made_by" in arrays else "null"
    found = parse_json(text, f"{path} is damaged: made_by", (dict, None), VmzError)
    return None if found is None else dict(found)


def _check_about(path: Union[str, Path], arrays: Mapping[str, np.ndarray], classes: int) -> None:
    """VmzError for what the run wrote beside the scores, where it is there and is not that."""
    for name, kinds, shape in (("aggregation", "iu", ()), ("database", "U", ()), ("label_names", "U", (classes,))):
        array = arrays.get(name)
        if array is not None and (array.dtype.kind not in kinds or array.shape != shape):
            raise VmzError(
                f"{path}: {name} is {array.dtype} {array.shape}; give a file written by test_net.py --save_scores"
            )
    if "aggregation" in arrays and arrays["aggregation"] not in (0, 1):
        raise VmzError(f"{path}: aggregation is {arrays['aggregation']}, not 0 or 1")


def _arrays(path: Union[str, Path]) -> dict[str, np.ndarray]:
    if not Path(path).is_file():
        raise UsageError(f"there is no file {path}; test_net.py --save_scores=FILE writes one")
    return read_npz(Path(path), str(path), "an .npz of scores as --save_scores writes it")


def _check_arrays(path: Union[str, Path], kind: str, clips: np.ndarray, label: np.ndarray, key: np.ndarray) -> None:
    """VmzError unless the three arrays are rows of the same clips."""
    if clips.ndim != 2 or not np.issubdtype(clips.dtype, np.floating) or not clips.size:
        raise VmzError(f"{path}: {kind} is {clips.dtype} {clips.shape}, not float32 (clips, classes) with a clip in it")
    wanted = clips.shape if kind == "prob" else clips.shape[:1]
    if label.shape != wanted or not np.issubdtype(label.dtype, np.integer):
        raise VmzError(f"{path}: label is {label.dtype} {label.shape} beside {kind} {clips.shape}, not int32 {wanted}")
    if key.shape != clips.shape[:1]:
        raise VmzError(f"{path}: key has shape {key.shape} beside {kind} {clips.shape}; each clip has its video's")
    highest = 1 if kind == "prob" else clips.shape[1] - 1
    if label.min() < 0 or label.max() > highest:
        raise VmzError(f"{path}: labels are from {label.min()} to {label.max()}, but {kind} allows 0 to {highest}")


def _check_together(parts: Sequence[SavedScores]) -> None:
    """UsageError unless the files are shards of one evaluation."""
    seen: dict[tuple[Optional[str], str], str] = {}
    known = [part for part in parts if part.made_by is not None]
    refuse_mixed([(part.path, part.made_by or {}) for part in known])
    for part in parts:
        if part.layout != parts[0].layout:
            raise UsageError(
                f"{part.path} contains {part.layout}, but {parts[0].path} contains {parts[0].layout}; give "
                "files of one network and protocol"
            )
        for key in part.keys:
            if (part.database, key) in seen:
                raise UsageError(
                    f"record {key} is in {seen[part.database, key]} and in {part.path}; it would count twice"
                )
            seen[part.database, key] = part.path
