"""A model's card: what is known of it, for people, as Markdown. What is not known is said to be so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Optional

from vmz import zoo
from vmz.checkpoints.loading import Checkpoint
from vmz.errors import UsageError, VmzError
from vmz.layouts.loading import load
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.analysis import ShapeError, totals
from vmz.netdef.training_state import is_training_state
from vmz.netdef.video_outputs import HEARING, OPTICAL_FLOW, RGB, RGB_AND_SOUND, SOUND
from vmz.settings.network import NetworkSettings
from vmz.settings.self_description import SelfDescription, described
from vmz.settings.setting import settings_of
from vmz.text import printable
from vmz.video.normalisation import MEAN, STD
from vmz.zoo.labels import labels_of

UNKNOWN = "not known"
_FLOW_NAMES = ("clip_length_of", "sampling_rate_of", "frame_gap_of", "do_flow_aggregation", "flow_data_type")
_INPUTS = {RGB: "RGB", OPTICAL_FLOW: "optical flow", SOUND: "sound", RGB_AND_SOUND: "RGB and sound"}
_RESIZED = {
    0: "to {scale_w}x{scale_h} pixels, whatever the aspect ratio",
    1: "with the short edge to {short} pixels",
    2: "not at all",
}


@dataclass(frozen=True)
class Card:
    """name: of the model. load: what load_model takes. flags: of test_net that are known, None for what is not.

    labels: names of the classes. labels_source: where they come from. row: the published model that it is. origin: what
    model.save has written down of where it comes from. metrics: of the epoch of a training. parameters: how many.
    """

    name: str
    load: str
    flags: Mapping[str, Any]
    labels: Optional[Sequence[str]] = None
    labels_source: Optional[str] = None
    row: Optional[zoo.ZooRow] = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    metrics: Optional[Mapping[str, Any]] = None
    parameters: Optional[int] = None
    features_only: bool = False

    @classmethod
    def of(cls, path: str, about: Mapping[str, Any], blobs: Mapping[str, Any]) -> Card:
        """Of a model that is to be saved: its description and its weights."""
        return cls._of_checkpoint(Checkpoint(path, dict(blobs), dict(about)))

    @classmethod
    def of_file(cls, path: str) -> Card:
        """Of a file of weights or the folder of a model. Raises what reading it raises."""
        return cls._of_checkpoint(load(path))

    @classmethod
    def of_row(cls, row: zoo.ZooRow) -> Card:
        """Of a published model, without its file. Raises what reading a private zoo's class names raises."""
        names = labels_of(row)
        return cls(
            name=row.name,
            load=row.name,
            flags=zoo.protocol_flags(row, zoo.PUBLISHED),
            labels=names.names if names is not None else None,
            labels_source=names.source if names is not None else None,
            row=row,
            origin={"source": row.file, **zoo.facts(row)},
        )

    @classmethod
    def _of_checkpoint(cls, found: Checkpoint) -> Card:
        known = described(found)
        row = _row_of(known)
        names = labels_of(row) if row is not None else None
        labels, source = known.labels, known.origin.get("labels_source") or "the file of weights"
        if labels is None and names is not None:
            labels, source = names.names, names.source
        return cls(
            name=os.path.basename(os.path.normpath(found.path)),
            load=found.path,
            flags=_flags(known, row),
            labels=labels,
            labels_source=source,
            row=row,
            origin={**(zoo.facts(row) if row is not None else {}), **known.origin},
            metrics=known.metrics,
            parameters=sum(prod(array.shape) for name, array in found.blobs.items() if not is_training_state(name)),
            features_only=known.features_only,
        )

    def markdown(self) -> str:
        """The card's text."""
        parts = [
            "---\nlibrary_name: vmz\npipeline_tag: video-classification\n---",
            f"# {_plain(self.name)}",
            self._first_line(),
            "## Network\n\n" + _table(self._network()),
            "## Figures\n\n" + "\n".join(self._figures()),
            "## Clips\n\n" + "\n".join(self._clips()),
            "## Classes\n\n" + self._classes(),
            "## Origin\n\n" + _table(self._origin()),
            "## Use\n\n" + self._use(),
        ]
        return "\n\n".join(parts) + "\n"

    def _first_line(self) -> str:
        kind = "features of videos, without a classifier" if self.features_only else "the classes of videos"
        return f"A network of [VMZ](https://github.com/facebookresearch/VMZ)'s families that predicts {kind}."

    def _network(self) -> Iterator[tuple[str, str]]:
        flags, config = self.flags, _config(self.flags)
        yield "network", f"{_shown(flags.get('model_name'))}-{_shown(flags.get('model_depth'))}"
        flow = flags.get("input_type") == OPTICAL_FLOW
        length = flags.get("clip_length_of" if flow else "clip_length_rgb")
        crop, channels = flags.get("crop_size"), _shown(flags.get("num_channels"))
        size = f"crop of {crop}x{crop} pixels" if crop is not None else f"crop {UNKNOWN}"
        sound = "log-mels of the sound, 100 rows of 40 filters"
        if flags.get("input_type") == SOUND:
            yield "clip", sound
        else:
            heard = f"; {sound}" if flags.get("input_type") == RGB_AND_SOUND else ""
            yield "clip", f"{channels} channels, {_shown(length)} frames, {size}{heard}"
        yield "input", self.row.modality if self.row is not None else _INPUTS[flags.get("input_type", RGB)]
        if self.parameters is not None:
            yield "parameters", f"{self.parameters / 1e6:.2f} M, running statistics included"
        if config is None:
            yield "multiply-adds of a clip", UNKNOWN
        else:
            try:
                cost = totals(build(config, is_test=True).costs())
                if self.parameters is None:
                    yield "parameters", f"{cost.params_m:.2f} M, weights of convolutions and the classifier"
                yield "multiply-adds of a clip", f"{cost.gmacs:.2f} G"
            except ShapeError:
                yield "multiply-adds of a clip", UNKNOWN
        plain = {name: known.default for name, known in settings_of(NetworkSettings).items()}
        shown = ("model_name", "model_depth", "num_labels", "num_channels", "crop_size", "clip_length_rgb", "use_cudnn")
        changed = [
            f"`{name}={flags[name]}`"
            for name, default in plain.items()
            if flags.get(name) not in (None, default) and name not in shown
        ]
        if changed:
            yield "other settings", " ".join(changed)

    def _figures(self) -> Iterator[str]:
        row = self.row
        if row is not None:
            numbers = row.published
            yield f"As published for {row.name}, on the validation set of {_shown(row.train_data)}:\n"
            yield _table(
                (name, f"{value} %" if value is not None else "not published")
                for name, value in (
                    ("clip@1", numbers.clip_top1), ("video@1", numbers.video_top1), ("video@5", numbers.video_top5),
                )
            )  # fmt: skip
            protocol = zoo.protocol_of(row)
            stated = f"{row.protocol} ({protocol['remark']})" if protocol is not None else "not published"
            yield f"\nProtocol: {stated}. Source: {_plain(row.source)}."
            if row.external is not None:
                yield (
                    f"\nMeasured elsewhere: video@1 {_shown(row.external['video_top1'])} %, video@5 "
                    f"{_shown(row.external['video_top5'])} % ({_plain(row.external['source'])})."
                )
            return
        figures = (self.metrics or {}).get("figures")
        if isinstance(figures, Mapping) and figures:
            videos, epoch = (self.metrics or {}).get("test_videos"), (self.metrics or {}).get("epoch")
            count = f" of {videos} videos" if videos is not None else ""
            yield f"The evaluation{count} after epoch {_shown(epoch)} of its training:\n"
            yield _table((_plain(name), _figure(value)) for name, value in figures.items())
            return
        parent = self.origin.get("initialised_from")
        began = f" The weights began as those of {_plain(parent)}, whose figures are not theirs." if parent else ""
        yield f"Not known.{began} Measure them: `vmz test-net --load_model_path {_plain(self.load)} --test_data DATA`."

    def _clips(self) -> Iterator[str]:
        flags = self.flags
        if "clip_per_video" not in flags:
            yield "How clips were drawn from videos is not known; the tools' defaults are used."
            return
        aggregation = "maximum" if flags.get("aggregation") else "mean"
        yield (
            f"- Clips of a video: {_shown(flags['clip_per_video'])}, evenly spaced; crops of each: "
            f"{_shown(flags.get('crop_per_clip'))}. The score of the video is their {aggregation}."
        )
        if flags.get("input_type") in HEARING:
            yield "- Sound: one channel, 16,000 samples a second; log-mels of windows of 16 ms, stretched to the clip."
        if flags.get("input_type") != SOUND:
            yield from self._frames()

    def _frames(self) -> Iterator[str]:
        flags = self.flags
        size = _RESIZED.get(flags.get("video_res_type", -1))
        high, wide = flags.get("scale_h"), flags.get("scale_w")
        if size is None or high is None or wide is None:
            yield f"- Frames are resized: {UNKNOWN}."
        else:
            yield f"- Frames are resized {size.format(scale_h=high, scale_w=wide, short=min(high, wide))}."
        if flags.get("input_type") == OPTICAL_FLOW:
            settings = " ".join(f"`{name}={flags[name]}`" for name in _FLOW_NAMES if flags.get(name) is not None)
            yield f"- Optical flow: {settings}."
        else:
            yield f"- Distance of a clip's frames in the video: {_shown(flags.get('sampling_rate_rgb'))}."
            mean, std = (", ".join(str(one) for one in array) for array in (MEAN, STD))
            yield f"- Pixels, R, G, B from 0 to 255, are normalised: mean {mean}; standard deviation {std}."
        rate = flags.get("fps") or None
        published = self.row.input_fps if self.row is not None else None
        told = f"resampled to {rate} a second" if rate else "as in the file"
        trained = f"{published} a second" if published else UNKNOWN
        yield f"- Frame rate: {told}; of the training videos: {trained}."

    def _classes(self) -> str:
        count = _shown(self.flags.get("num_labels"))
        if self.features_only:
            return "The model has no classifier; its output are its last features."
        if self.labels is None:
            return f"{count} classes. Their names are {UNKNOWN}."
        return (
            f"{count} classes: {', '.join(_plain(name) for name in self.labels[:10])}"
            f"{f' and {len(self.labels) - 10} more' if len(self.labels) > 10 else ''}.\n\n"
            f"Source of the names: {_plain(self.labels_source or UNKNOWN)}."
        )

    def _origin(self) -> Iterator[tuple[str, str]]:
        row, origin = self.row, self.origin
        yield "weights", _shown(origin.get("source"))
        if row is not None:
            yield "trained on", _shown(row.train_data)
            yield "initialised from", _plain(row.initialised_from or "no published model")
        else:
            yield "trained on", UNKNOWN
            yield "initialised from", _shown(origin.get("initialised_from"))
        yield "paper", _shown(origin.get("paper"))
        yield "licence", _shown(origin.get("licence"))
        for remark in row.remarks if row is not None else ():
            yield "remark", _plain(remark)

    def _use(self) -> str:
        name = _plain(self.load)
        if self.features_only:
            call = 'print(model(model.transform(vmz.load_video("video.mp4"))).shape)'
        else:
            call = 'print(model.predict("video.mp4").lines())'
        flag = "--zoo" if self.row is not None and self.load == self.row.name else "--load_model_path"
        lines = ["```python", "import vmz", "", f'model = vmz.load_model("{name}")', call, "```"]
        if not self.features_only:
            lines += ["", "```sh", f"vmz predict video.mp4 {flag} {name}", "```"]
        return "\n".join(lines)


def _row_of(known: SelfDescription) -> Optional[zoo.ZooRow]:
    """The published model that a saved one is, or that a file has the name of; None where it is not known here."""
    name = known.origin.get("published")
    if not name:
        return zoo.row_of_file(known.path) if not known.protocol else None
    return next((row for row in zoo.rows() if row.name == name), None)


def _flags(known: SelfDescription, row: Optional[zoo.ZooRow]) -> dict[str, Any]:
    shown = {fact.flag: fact.value for fact in known.facts if fact.known}
    return {**shown, **(zoo.protocol_flags(row) if row is not None else {}), **known.protocol}


def _config(flags: Mapping[str, Any]) -> Optional[ModelConfig]:
    """The network, where all that it needs is known."""
    names = set(settings_of(NetworkSettings)) - {"clip_length_rgb", "use_cudnn"}
    found = {name: flags[name] for name in names if flags.get(name) is not None}
    length = flags.get("clip_length_of" if flags.get("input_type") == OPTICAL_FLOW else "clip_length_rgb")
    if length is None or flags.get("num_labels") is None or flags.get("crop_size") is None:
        return None
    try:
        return ModelConfig(**found, clip_length=length)
    except (UsageError, VmzError):
        return None


def _table(rows: Any) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else _shown(value)


def _shown(value: Any) -> str:
    return UNKNOWN if value is None else _plain(str(value))


def _plain(text: str) -> str:
    """A text that others wrote, in which nothing is markup."""
    return "".join(f"\\{letter}" if letter in "\\`|<>[]*" else letter for letter in printable(str(text)))


def card_of(name_or_path: str) -> Card:
    """The card of a published model, a file of weights, a folder or hf-hub:org/name.

    Raises UsageError for what is none of them, and what reading it raises.
    """
    path = zoo.local_path(name_or_path)
    if os.path.exists(path):
        return Card.of_file(path)
    if (Path(path).suffix and not any(row.file == path for row in zoo.rows())) or os.sep in path:
        raise UsageError(f"there is no file or folder {printable(path)}; `vmz zoo list` has the names of models")
    return Card.of_row(zoo.find(path))
