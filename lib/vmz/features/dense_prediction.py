"""Dense prediction: a video's score from clips all along it, whose softmax extract_features has written to files.

Files of ours and of the original's of 2018 are read alike: softmax (clips, classes), label and video_id (clips,).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from vmz import metrics
from vmz.errors import UsageError, VmzError
from vmz.evaluation.recorded_settings import recorded_settings, refuse_mixed
from vmz.features.formats.feature_files import ENDINGS, load_features
from vmz.netdef.video_outputs import LABEL, VIDEO_ID
from vmz.progress import progress
from vmz.results.figures import ALWAYS_RIGHT
from vmz.results.scores import first_not_finite
from vmz.text import counted, cut, printable

NEEDED = ("softmax", LABEL, VIDEO_ID)
TOP_K = 5


@dataclass(frozen=True)
class DensePrediction:
    """Videos in the order in which the files first name them.

    ids: int64 (videos,); scores: float64 (videos, classes), the mean softmax of a video's clips; labels: int64
    (videos,); clips: int64 (videos,), how many went into each. Of seen_clips clips, right_clips have their label at
    rank 1.
    """

    ids: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    clips: np.ndarray
    right_clips: int
    seen_clips: int

    def figures(self) -> dict[str, float]:
        """clip@1, video@1 and video@5 (or of as many classes as there are, by that name)."""
        own = metrics.video_figures(self.scores, self.labels, TOP_K)
        return {"clip@1": self.right_clips / self.seen_clips, **own}


def original_figures(files: Sequence[DensePrediction]) -> dict[str, float]:
    """The figures of several files as the original adds them up: each file's, weighted by its videos."""
    videos = [len(one.ids) for one in files]
    each = [one.figures() for one in files]
    return {name: sum(n * own[name] for n, own in zip(videos, each)) / sum(videos) for name in each[0]}


def original_line(figures: Mapping[str, float]) -> str:
    """The figures as the original prints them; its top5 is of 5 ranks, however few classes there are."""
    top5 = list(figures.values())[-1]
    return f"clip {figures.get('clip@1', 0.0)}, top1 {figures['video@1']}, top5 {top5}"


def split_videos(files: Sequence[DensePrediction]) -> list[int]:
    """The ids that more than one file has, in rising order."""
    ids, counts = np.unique(np.concatenate([one.ids for one in files]), return_counts=True)
    return [int(identity) for identity in ids[counts > 1]]


def figures_text(figures: Mapping[str, float], classes: int) -> str:
    """The figures on one line. video@k of k classes says nothing of the network, which is said."""
    sure = {name: f" ({ALWAYS_RIGHT.format(classes)})" for name in figures if metrics.rank_of(name) >= classes}
    return ", ".join(f"{name}: {value}{sure.get(name, '')}" for name, value in figures.items())


def feature_files(folder: Union[str, Path, None], flag: str, count: Optional[int] = None) -> list[Path]:
    """The feature files of a folder in the order of their names, numbers by value. `count`: how many there should be.

    Raises UsageError, naming the flag, where there is no such folder, none in it, or another number of them.
    """
    if not folder:
        raise UsageError(f"--{flag} is not given; give the folder of the files that extract_features.py wrote")
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(
            f"--{flag}={folder} is not a folder; give the folder of the files that extract_features.py wrote"
        )
    files = sorted((path for path in folder.iterdir() if path.suffix.lower() in ENDINGS), key=_by_number)
    if not files:
        raise UsageError(f"--{flag}={folder} contains no feature file ({', '.join(ENDINGS)})")
    if count is not None and len(files) != count:
        raise UsageError(f"--{flag}={folder} contains {len(files)} feature files, but --file_count={count}")
    refuse_mixed([(str(path), settings) for path in files if (settings := recorded_settings(str(path))) is not None])
    unfinished = sorted(path.name for path in folder.glob("*.parts"))
    if unfinished:
        raise UsageError(f"--{flag}={folder} contains {unfinished[0]}, an unfinished extraction; finish it first")
    return files


def aggregate_each(files: Sequence[Path], max_clip: int = 0) -> list[DensePrediction]:
    """The prediction of each file by itself, as the original does it: `max_clip` leaves the figure of clips alone.

    Raises VmzError as `aggregate_files`, and where the files differ in classes.
    """
    found: list[DensePrediction] = []
    for path in progress(files, len(files), "files", "dense prediction"):
        found.append(_aggregate([path], max_clip, counts_all=True))
        if found[-1].scores.shape[1] != found[0].scores.shape[1]:
            raise VmzError(_other_classes(path, found[-1].scores.shape[1], found[0].scores.shape[1]))
    return found


def aggregate_files(files: Sequence[Path], max_clip: int = 0) -> DensePrediction:
    """Mean softmax of each video over its clips in all files, or over the first `max_clip` of them (0: all).

    Clips that `max_clip` leaves out do not count in the figure of clips either. One file at a time is in memory.

    Raises VmzError, naming the file, for arrays that are not there or do not fit.
    """
    return _aggregate(progress(files, len(files), "files", "dense prediction"), max_clip)


def _aggregate(files: Iterable[Path], max_clip: int, counts_all: bool = False) -> DensePrediction:
    """counts_all: the clips that `max_clip` leaves out count in the figure of clips all the same."""
    places: dict[int, int] = {}
    labels: list[int] = []
    sums, counts = np.zeros((0, 0)), np.zeros(0, np.int64)
    right = seen = 0
    for path in files:
        softmax, label, video_id = _read(path)
        if len(places) and softmax.shape[1] != sums.shape[1]:
            raise VmzError(_other_classes(path, softmax.shape[1], sums.shape[1]))
        for identity, own in zip(video_id.tolist(), label.tolist()):
            place = places.setdefault(identity, len(places))
            if place == len(labels):
                labels.append(own)
            elif labels[place] != own:
                raise VmzError(
                    f"{path} gives video {identity} the label {own}, but it had {labels[place]} before; "
                    "give files of one data set, with one id for each video"
                )
        more = len(places) - len(counts)
        sums = np.concatenate([sums.reshape(-1, softmax.shape[1]), np.zeros((more, softmax.shape[1]))])
        counts = np.concatenate([counts, np.zeros(more, np.int64)])
        rows = np.array([places[identity] for identity in video_id.tolist()], np.int64)
        right_ones = metrics.in_top_k(softmax, label, 1)
        if max_clip:
            keep = counts[rows] + _occurrence(rows) < max_clip
            softmax, rows = softmax[keep], rows[keep]
            right_ones = right_ones if counts_all else right_ones[keep]
        np.add.at(sums, rows, softmax.astype(np.float64))
        np.add.at(counts, rows, 1)
        right += int(right_ones.sum())
        seen += len(right_ones)
    ids = np.array(list(places), np.int64)
    return DensePrediction(ids, sums / counts[:, None], np.array(labels, np.int64), counts, right, seen)


def _other_classes(path: Path, here: int, before: int) -> str:
    return f"{path} has {counted(here, 'class')}, but the files before it {before}"


def fuse(first: DensePrediction, second: DensePrediction, alpha: float, means: bool = False) -> np.ndarray:
    """alpha * first + (1 - alpha) * second: float64 (videos, classes), videos in the order of the first.

    Of the sums over each video's clips, as in the original, where the stream with more clips of a video weighs more; or
    of their `means`.

    Raises UsageError for an alpha outside of 0 to 1, VmzError where the two are not of the same videos and labels.
    """
    if not 0 <= alpha <= 1:
        raise UsageError(f"--alpha={alpha} must be from 0 to 1: the weight of the first stream")
    places = {identity: place for place, identity in enumerate(second.ids.tolist())}
    ids, others = set(first.ids.tolist()), set(places)
    if ids != others:
        only = sorted(ids - others) or sorted(others - ids)
        lacking = "second" if ids - others else "first"
        raise VmzError(
            f"{counted(len(only), 'video')} {'is' if len(only) == 1 else 'are'} missing in the {lacking} stream, for "
            f"example {only[0]}; fuse the same videos"
        )
    order = np.array([places[identity] for identity in first.ids.tolist()], np.int64)
    differ = np.flatnonzero(second.labels[order] != first.labels)
    if len(differ) or first.scores.shape[1] != second.scores.shape[1]:
        what = f"label of video {first.ids[differ[0]]} differs" if len(differ) else "numbers of classes differ"
        raise VmzError(f"the {what} between the streams; give two streams of one data set")
    one, two = first.scores, second.scores[order]
    if not means:
        one, two = one * first.clips[:, None], two * second.clips[order][:, None]
    return np.asarray(alpha * one + (1 - alpha) * two)


def _by_number(path: Path) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """softmax (clips, classes), label and video_id (clips,) of a file, checked."""
    arrays = load_features(path)
    lacking = [name for name in NEEDED if name not in arrays]
    if lacking:
        raise VmzError(
            f"{path} has no {' and no '.join(lacking)}, but {cut(printable(', '.join(arrays))) or 'nothing'}; extract "
            "with --features=softmax,label,video_id --get_video_id=1"
        )
    softmax = arrays["softmax"]
    odd = next((name for name in NEEDED if arrays[name].dtype.kind not in "biuf" or not arrays[name].size), None)
    if odd is not None:
        raise VmzError(f"{path}: {odd} is {arrays[odd].dtype} {arrays[odd].shape}, not numbers of at least one clip")
    softmax = softmax.reshape(len(softmax), -1) if softmax.ndim > 1 else softmax
    label, video_id = _column(path, arrays, LABEL), _column(path, arrays, VIDEO_ID)
    if softmax.ndim != 2 or not len(softmax) == len(label) == len(video_id) or not len(label):
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in NEEDED)
        raise VmzError(f"{path} has arrays that do not fit together: {shapes}; a row of each is a clip")
    if label.min() < 0 or label.max() >= softmax.shape[1]:
        raise VmzError(
            f"{path} has labels from {label.min()} to {label.max()}, but {counted(softmax.shape[1], 'class')}"
        )
    bad = first_not_finite(softmax[:, None])
    if bad is not None:
        raise VmzError(f"{path} has scores that are not finite, first of video {video_id[bad[0]]} (row {bad[0]})")
    return softmax, label, video_id


def _column(path: Path, arrays: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    array = arrays[name]
    if array.ndim > 1 and int(np.prod(array.shape[1:])) > 1:
        raise VmzError(f"{path}: {name} has shape {array.shape}, but dense prediction takes one {name} a clip")
    array = array.reshape(-1)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and (np.abs(array) < 2.0**62).all()):
        raise VmzError(f"{path}: {name} has values that are not integers")
    return array.astype(np.int64)


def _occurrence(rows: np.ndarray) -> np.ndarray:
    """For each entry, how many before it are equal: int64 of the same length."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    first = np.searchsorted(ordered, ordered, side="left")
    found = np.empty(len(rows), np.int64)
    found[order] = np.arange(len(rows)) - first
    return found
