"""From the blobs of a checkpoint to the blobs of a network: by name, adapted in shape, with a full account."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from vmz.errors import UsageError, VmzError
from vmz.netdef.blob_names import first_of_each, unscoped
from vmz.netdef.training_state import is_training_state
from vmz.text import counted, cut, printable

Shape = tuple[int, ...]
HEAD = re.compile(r"(a_|v_)?(last_out_L(?P<labels>\d+)|pred_logit)_[wb]")
FIRST_CONVOLUTIONS = ("conv1_middle_w", "conv1_w", "conv1a_w")  # the first of these in a net looks at the pixels


@dataclass(frozen=True)
class Report:
    """What became of every blob. Names are without scope."""

    copied: tuple[str, ...]
    adapted: Mapping[str, str]  # name -> how
    missing: tuple[str, ...]  # wanted, not in the file
    unused: tuple[str, ...]  # in the file, not wanted, and no training state
    mismatched: Mapping[str, tuple[Shape, Shape]]  # name -> (shape in the file, shape in the network)
    training_state: int = 0  # blobs in the file that only a training that goes on needs: momenta, the iteration, ...

    def summary(self) -> str:
        """Lines for a person: counts, then the names of all that was not simply copied."""
        lines = [
            f"loaded {counted(len(self.copied), 'parameter')}; {len(self.adapted)} adapted, {len(self.missing)} "
            f"missing, "
            f"{len(self.mismatched)} shape mismatches, {len(self.unused)} unused"
            + (f", {self.training_state} of training state ignored" if self.training_state else "")
        ]
        for how in dict.fromkeys(self.adapted.values()):
            lines.append(f"  {how}: {_some([name for name, way in self.adapted.items() if way == how])}")
        if self.missing:
            lines.append(f"  missing, keep their initial values: {_some(self.missing)}")
        for name, (have, want) in list(self.mismatched.items())[:5]:
            lines.append(f"  {name}: {have} in the file, {want} in the network, keeps its initial value")
        if self.unused:
            lines.append(f"  unused: {_some(self.unused)}")
        return "\n".join(lines)


def match(
    blobs: Mapping[str, np.ndarray],
    wanted: Iterable[tuple[str, Shape]],
    center_init: bool = False,
    bgr2rgb: bool = False,
) -> tuple[dict[str, np.ndarray], Report]:
    """Fit the arrays of a file to the blobs of a network: ({blob as named in `wanted`: float32 array}, Report).

    blobs: {name: array}; wanted: [(blob, shape)], scoped or not: names are compared without scope. Shapes may differ
    in these ways: 4-D, or T = 1, into T frames (repeated and divided by T, or in the centre frame alone with
    `center_init`); T = 1 into 4-D; the weights of an FC into a 1x1x1 convolution. bgr2rgb turns round the input
    channels of the first convolution. Nothing is refused here but a wrong request (UsageError): see `check`.
    """
    by_name = {name: np.asarray(array) for name, array in first_of_each(blobs).items()}
    wanted = [(blob, tuple(shape)) for blob, shape in wanted]
    first = _first_convolution([blob for blob, _ in wanted]) if bgr2rgb else None
    fitted: dict[str, np.ndarray] = {}
    copied, missing = [], []
    adapted: dict[str, str] = {}
    mismatched: dict[str, tuple[Shape, Shape]] = {}
    for blob, shape in wanted:
        name = unscoped(blob)
        if name not in by_name:
            missing.append(name)
            continue
        array, how = adapt(by_name[name].astype(np.float32), shape, center_init)
        if array is None:
            mismatched[name] = (tuple(by_name[name].shape), shape)
            continue
        if blob == first:
            if shape[1] != 3:
                raise UsageError(f"bgr2rgb flips 3 colour channels, but {name} has {shape[1]} input channels")
            array, how = array[:, ::-1], f"{how}, BGR to RGB" if how else "BGR to RGB"
        fitted[blob] = np.ascontiguousarray(array).reshape(shape)  # which makes a row of a single number
        if how:
            adapted[name] = how
        else:
            copied.append(name)
    names = {unscoped(blob) for blob, _ in wanted}
    rest = [name for name in by_name if name not in names]
    unused = tuple(name for name in rest if not is_training_state(name))
    return fitted, Report(tuple(copied), adapted, tuple(missing), unused, mismatched, len(rest) - len(unused))


def is_classifier(name: str) -> bool:
    """Whether a blob, named without scope, has a name that our networks give to a classifier's."""
    return HEAD.fullmatch(name) is not None


def check(
    report: Report,
    source: str,
    new_head: bool = False,
    allow_partial: bool = False,
    classifier: Optional[Collection[str]] = None,
) -> None:
    """Refuse a checkpoint that would leave random weights where trained ones are meant.

    source: the file, for the message. new_head: the classifier may stay new, for fine-tuning. classifier: its blobs
    (see net_parts.classifier_parameters); without them the names that our networks give it tell. allow_partial:
    everything may, because the user said so (--allow_partial_load). VmzError otherwise.
    """
    if allow_partial:
        return
    found = len(report.copied) + len(report.adapted)
    left = [*report.missing, *report.mismatched]
    advice = "give a checkpoint of this network, or --allow_partial_load=1 to load what fits"
    if not found:
        raise VmzError(
            f"{source} fills none of the network's {counted(len(left), 'blob')}; it contains {_some(report.unused)}; "
            f"{advice}"
        )
    head = set(filter(is_classifier, left)) if classifier is None else {unscoped(blob) for blob in classifier}
    trunk = [name for name in left if name not in head]
    if trunk:
        shapes = "".join(
            f"; {name} is {have} in the file and {want} in the network"
            for name, (have, want) in list(report.mismatched.items())[:1]
        )
        raise VmzError(
            f"{source} would leave {len(trunk)} of the network's {counted(found + len(left), 'blob')} at their "
            f"initial values: "
            f"{_some(trunk)}{shapes}; {advice}"
        )
    if left and not new_head:
        raise VmzError(_about_heads(report, source, left))


def _about_heads(report: Report, source: str, left: list[str]) -> str:
    theirs, ours = _labels(report.unused), _labels(left)
    if theirs and ours and theirs != ours:
        return (
            f"{source} was trained for {counted(int(theirs), 'label')}, but the network has --num_labels={ours}; give "
            f"--num_labels={theirs}, or fine-tune the checkpoint on the new labels first"
        )
    shapes = "".join(f" ({have} in the file, {want} in the network)" for have, want in report.mismatched.values())
    return (
        f"{source} lacks the classifier {_some(left)}{shapes}; a network is evaluated with the classifier it was "
        f"trained with, under the same --num_labels and --multi_label"
    )


def _labels(names: Iterable[str]) -> Optional[str]:
    for name in names:
        found = HEAD.fullmatch(name)
        if found and found["labels"]:
            return found["labels"]
    return None


def adapt(array: np.ndarray, shape: Shape, center_init: bool = False) -> tuple[Optional[np.ndarray], str]:
    """The array in `shape` and how it got there; "" when it had it, None when there is no way."""
    have = array.shape
    if have == shape:
        return array, ""
    if array.ndim == 2 and shape == (*have, 1, 1, 1):
        return array.reshape(shape), "fully connected to 1x1x1 convolution"
    if array.ndim == 2 and shape == (*have, 1, 1):
        return array.reshape(shape), "fully connected to 1x1 convolution"
    if len(shape) == 2 and have in ((*shape, 1, 1, 1), (*shape, 1, 1)):
        return array.reshape(shape), "1x1x1 convolution to fully connected"
    if len(shape) == 4 and have == (*shape[:2], 1, *shape[2:]):
        return array[:, :, 0], "3-D to 2-D"
    still = array[:, :, None] if array.ndim == 4 else array
    if len(shape) == 5 and still.shape == (*shape[:2], 1, *shape[3:]):
        return _inflated(still, shape, center_init)
    return None, ""


def _inflated(still: np.ndarray, shape: Shape, center_init: bool) -> tuple[np.ndarray, str]:
    """Weights of one frame, T = 1, as weights of several that give the same on a video that stands still."""
    frames = shape[2]
    if frames == 1:
        return still, "2-D to 3-D"
    if center_init:
        inflated = np.zeros(shape, still.dtype)
        inflated[:, :, frames // 2] = still[:, :, 0]
        return inflated, f"inflated to {counted(frames, 'frame')}, in the centre"
    return np.repeat(still, frames, axis=2) / np.float32(frames), f"inflated to {counted(frames, 'frame')}"


def _first_convolution(blobs: list[str]) -> Optional[str]:
    for name in FIRST_CONVOLUTIONS:
        for blob in blobs:
            if unscoped(blob) in (name, f"v_{name}"):
                return blob
    raise UsageError(f"bgr2rgb needs a first convolution to flip, one of {', '.join(FIRST_CONVOLUTIONS)}")


def _some(names: Iterable[str], most: int = 4) -> str:
    names = [cut(printable(name)) for name in names]
    return (", ".join(names[:most]) or "none") + (f" and {len(names) - most} more" if len(names) > most else "")
