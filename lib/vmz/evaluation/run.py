"""Clip-to-video evaluation: every video of an LMDB once, the published protocol, whatever the engine.

Clips are evenly spaced over a video, the network scores each, and a video's score is their mean (or maximum).
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from vmz import __version__
from vmz.checkpoints import matching
from vmz.checkpoints.loading import load
from vmz.cli.options import device_name, device_names, model_config, resolution_of, video_input_arguments
from vmz.datasets.audit import DataReport, check_data, print_warnings
from vmz.datasets.class_names import read_label_names
from vmz.engines.engine import Engine
from vmz.engines.registry import open_engine
from vmz.errors import UsageError, VmzError
from vmz.evaluation.published import published_account
from vmz.evaluation.recorded_settings import settings as made_by_settings
from vmz.evaluation.scored_batches import OPTIONAL_OUTPUTS, Batches, SlicedBatches, WholeBatches
from vmz.evaluation.scores import Scores, figures_line, intervals, merge, named_lines, summarise
from vmz.intervals import Interval
from vmz.models.inputs import VideoSource
from vmz.models.registry import Model, build
from vmz.netdef.analysis import ShapeError, Totals, totals
from vmz.processes import group
from vmz.progress import Progress
from vmz.video.database import VideoDatabase
from vmz.video.faults import BadVideo, EndedEarly, Fault
from vmz.video.fingerprint import fingerprint, refuse_remade
from vmz.video.reader import EndOfData, check_holds
from vmz.video.records import key_text

# Flags on which no clip's score depends: outputs, what is done with the scores, how many clips a batch has.
NOT_OF_SCORES = (
    "output", "save_scores", "report", "list", "check_data", "print_per_class_metrics", "label_names", "aggregation",
    "top_k", "num_iter", "batch_size", "crop_per_inference", "engine", "use_local_file", "get_video_id", "classes",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """The result: figures by name ("clip@1", "video@1", "video@5", or "mAUC", "mAP", ...), and how they came about."""

    figures: Mapping[str, float]
    per_class: list[Mapping[str, Any]]
    totals: Totals
    videos: int
    clips_per_video: int
    skipped: list[BadVideo]
    ended_early: list[EndedEarly]
    checkpoint: Optional[matching.Report]
    seconds: Mapping[str, float]
    scores: Scores
    options: Mapping[str, Any]
    environment: Mapping[str, str]
    data: Optional[DataReport] = None
    published: Optional[Mapping[str, Any]] = None
    label_names: Optional[Sequence[str]] = None
    settings: Optional[Mapping[str, Any]] = None  # where they come from: Resolution.to_json
    made_by: Optional[Mapping[str, Any]] = None  # what kept scores depend on, where they are kept
    database: str = ""  # the fingerprint of --test_data

    @property
    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of the accuracies by the names of the figures."""
        return intervals(self.figures, self.scores)

    def named_lines(self) -> str:
        """What each accuracy is an accuracy of, and how well it is known: one line each."""
        return named_lines(self.figures, self.scores, self.options["aggregation"])

    def closing_lines(self) -> str:
        """The two lines that the original ends with."""
        cost = self.totals
        return (
            f"{figures_line(self.figures)}\nFLOPs: {cost.gmacs}, params: {cost.params_m}, inters: {cost.interactions_g}"
        )

    def to_json(self) -> dict[str, Any]:
        """All but the scores, as results.json holds it."""
        report = self.checkpoint
        return {
            "figures": dict(self.figures),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "videos": self.videos,
            "clips_per_video": self.clips_per_video,
            "skipped": [vars(bad) for bad in self.skipped],
            "ended_early": [vars(video) for video in self.ended_early],
            "per_class": self.per_class,
            "gmacs_per_clip": self.totals.gmacs,
            "params_m": self.totals.params_m,
            "interactions_g": self.totals.interactions_g,
            "checkpoint": None
            if report is None
            else {
                "copied": len(report.copied),
                "adapted": dict(report.adapted),
                "missing": list(report.missing),
                "unused": list(report.unused),
                "mismatched": list(report.mismatched),
            },
            "published": self.published,
            "settings": self.settings,
            "label_names": None if self.label_names is None else list(self.label_names),
            "data": None if self.data is None else self.data.to_json(),
            "seconds": dict(self.seconds),
            "options": dict(self.options),
            "environment": dict(self.environment),
        }


def evaluate(options: argparse.Namespace) -> Evaluation:
    """Run the evaluation that `options` (of test_net) describe, together with the other processes of torchrun's run.

    All of them return the result; only the first one's holds the scores. Raises UsageError for a request that is wrong,
    VmzError for data or weights that are.
    """
    return _evaluate(options, lambda model: load_weights(model, options))


def evaluate_weights(options: argparse.Namespace, weights: Mapping[str, np.ndarray]) -> Evaluation:
    """The same for weights at hand, {blob: array}, in place of --load_model_path."""
    return _evaluate(options, lambda model: (weights, None))


Weights = Optional[Mapping[str, np.ndarray]]


def _evaluate(
    options: argparse.Namespace, weights_for: Callable[[Model], tuple[Weights, Optional[matching.Report]]]
) -> Evaluation:
    started = time.perf_counter()
    if not options.test_data:
        raise UsageError("--test_data is not given; it takes an LMDB of videos, as create_video_db.py makes it")
    names = _label_names(options)
    with group.joined():
        ids = {"get_video_id": 1} if options.get_video_id else {}
        reader = {"get_record_index": 1, **ids, "on_bad_video": options.on_bad_video, **share_of_one_pass()}
        model = test_model(options, bool(options.crop_per_inference), **reader)
        cost = check_fits(model)
        found = "" if group.rank() else fingerprint(options.test_data)
        with VideoDatabase(options.test_data) as database:
            check_holds(database, bool(options.use_local_file))
            keys = [key_text(key) for key in database.keys]
        weights, report = weights_for(model)
        made_by = None
        if options.save_scores and not group.rank():
            made_by = made_by_settings(options, weights, "scores", NOT_OF_SCORES)
        with open_engine(options.engine, device_name(options)) as engine:  # takes seconds: what is wrong is told before
            data = _looked_at(options)  # now that flags and weights are known to be right
            keep = [model.prediction] if options.crop_per_inference else WholeBatches.blobs(model)
            engine.load(model.param_init_net, model.net, weights, seed=options.seed, keep=keep)
            loaded = time.perf_counter()
            with _open_batches(engine, model, options, reader) as batches:
                scores = score_videos(batches, keys, options)
                faults, spent = (batches.skipped, batches.ended_early), batches.seconds
        parts = group.gather((scores, *faults))
        mine = None
        if parts is not None:
            scores = merge([part[0] for part in parts])
            faults = in_order([part[1] for part in parts], keys), in_order([part[2] for part in parts], keys)
            seconds = {"load": loaded - started, "run": time.perf_counter() - loaded, **spent}
            mine = replace(
                _result(options, scores, faults, cost, report, seconds),
                data=data, label_names=names, made_by=made_by, database=found,
            )  # fmt: skip
            refuse_remade(options.test_data, found)
        others = group.share(None if mine is None else replace(mine, scores=Scores()))
        return others if mine is None else mine


def _open_batches(engine: Engine, model: Model, options: argparse.Namespace, reader: Mapping[str, Any]) -> Batches:
    if not options.crop_per_inference:
        return WholeBatches(engine, model)
    arguments = {**video_input_arguments(options), **reader}
    return SlicedBatches(engine, model, options.crop_per_inference, options.test_data, arguments, options.engine)


def _looked_at(options: argparse.Namespace) -> Optional[DataReport]:
    """What the first process finds out about the data beforehand, with its warnings printed."""
    if group.rank() or not (options.check_data or options.list):
        return None
    data = check_data(options)
    print_warnings(data)
    return data


def share_of_one_pass() -> dict[str, int]:
    """VideoInput arguments of this process's share of the database. Nothing is drawn, but shares want a seed."""
    world = group.world_size()
    share = {"shard_index": group.rank(), "shard_count": world, "seed": 1} if world > 1 else {}
    return {"wrap_around": 0, **share}


def in_order(reports: Sequence[Sequence[Fault]], keys: Sequence[str]) -> list[Fault]:
    """What several processes report of single videos, in database order."""
    places = {key: place for place, key in enumerate(keys)}
    return sorted((fault for part in reports for fault in part), key=lambda fault: places[fault.key])


def _result(
    options: argparse.Namespace,
    scores: Scores,
    faults: tuple[list[BadVideo], list[EndedEarly]],
    cost: Totals,
    report: Optional[matching.Report],
    seconds: Mapping[str, float],
) -> Evaluation:
    if not scores.keys:
        raise VmzError(f"no video of {options.test_data} could be scored; look at it with create_video_db.py --check")
    figures, per_class = summarise(scores, options.top_k, bool(options.multi_label))
    return Evaluation(
        figures=figures,
        per_class=per_class,
        totals=cost,
        videos=len(scores.keys),
        clips_per_video=options.clip_per_video * options.crop_per_clip,
        skipped=faults[0],
        ended_early=faults[1],
        checkpoint=report,
        seconds=seconds,
        scores=scores,
        options={name: value for name, value in vars(options).items() if name != "debug"},
        environment=environment(options),
        published=published_account(options),
        settings=None if (resolution := resolution_of(options)) is None else resolution.to_json(),
    )


def _label_names(options: argparse.Namespace) -> Optional[Sequence[str]]:
    """Of --label_names, or else those that the checkpoint holds."""
    if options.label_names:
        return read_label_names(options.label_names, options.num_labels)
    resolution = resolution_of(options)
    return resolution.labels if resolution is not None else None


def test_model(options: argparse.Namespace, sliced: bool = False, **reader: Any) -> Model:
    """The testing network as the original's test_net builds it on one CPU, its reader in front unless it takes slices.

    `reader`: VideoInput arguments of ours on top of the original's.
    """
    outputs = ("data", "label", *(name for name in OPTIONAL_OUTPUTS if reader.get(f"get_{name}")))
    source = VideoSource(options.test_data, {**video_input_arguments(options), **reader}, outputs)
    config = model_config(options, batch_size=-1)  # open: a slice or a batch may be short
    return build(config, is_test=True, source=None if sliced else source, use_cudnn=bool(options.use_cudnn))


def check_fits(model: Model) -> Totals:
    """What one clip costs. Raises UsageError when the layers do not fit the clip."""
    try:
        return totals(model.costs())
    except ShapeError as error:
        config = model.config
        raise UsageError(
            f"{config.model_name} cannot run on clips of {config.clip_length} frames and {config.crop_size} pixels "
            f"({error}); use 2, 4 or a multiple of 8 frames, and the crop the model was made for"
        ) from error


def load_weights(model: Model, options: argparse.Namespace) -> tuple[Weights, Optional[matching.Report]]:
    """The checkpoint's blobs, fitted to the network, and the account of them.

    Raises VmzError for a file that leaves part of the network at its initial values, unless --allow_partial_load.
    """
    path = options.load_model_path
    if not path:
        if options.random_weights:
            return None, None
        raise UsageError("--load_model_path is not given; --random_weights=1 scores an untrained network on purpose")
    wanted = [*model.params, *model.computed_params]
    weights, report = matching.match(
        load(path, options.db_type), wanted, center_init=bool(options.center_init), bgr2rgb=bool(options.bgr2rgb)
    )
    matching.check(report, path, allow_partial=bool(options.allow_partial_load), classifier=model.config.last_layer)
    return weights, report


def score_videos(batches: Batches, keys: list[str], options: argparse.Namespace) -> Scores:
    """Run the net over its reader's one pass, gathering scores. `keys`: of all records, in database order.

    Of several processes each runs every so-many-th batch, and the first one shows how far it has come.
    """
    scores = Scores()

    def named(key: str) -> str:
        return described(options.test_data, key, bool(options.use_local_file))

    rows = options.clip_per_video * options.crop_per_clip
    rank, world = group.rank(), group.world_size()
    mine = sum(place // options.batch_size % world == rank for place in range(len(keys)))
    title = f"test_net, process 1 of {world}" if world > 1 else "test_net"
    runs = 0
    with Progress(mine, "videos", title, every=options.display_iter, quiet=rank > 0) as progress:
        while not (options.num_iter and runs * world + rank >= options.num_iter):
            group.check()
            try:
                batch = batches.next_batch()
            except EndOfData:
                break
            runs += 1
            count = len(batch.records)
            labels = batch.labels.reshape(count, rows, -1)[:, 0]
            names = [keys[record] for record in batch.records]
            if not options.multi_label:
                labels = labels[:, 0]
                check_labels(labels, names, options)
            clips = batch.clips.reshape(count, rows, -1)
            scores.add(clips, labels, names, options.aggregation, bool(options.save_scores), named)
            scores.records.extend(int(record) for record in batch.records)
            if batch.video_ids is not None:
                scores.video_ids.extend(int(number) for number in batch.video_ids[::rows])
            progress.update(count, note=_running(scores, options))
    return scores


def check_labels(labels: np.ndarray, keys: Sequence[str], options: argparse.Namespace) -> None:
    """Raise VmzError, naming the record, for a label that the network lacks. labels: int (videos,) of --test_data."""
    for label, key in zip(labels, keys):
        if not 0 <= label < options.num_labels:
            raise foreign_label(options.test_data, key, int(label), options)


def described(path: str, key: str, use_local_file: bool) -> str:
    """A record of the database at `path` in full, as VideoDatabase.describe has it."""
    with VideoDatabase(path) as database:
        [place] = database.paths([key], use_local_file)
        return database.describe(key, place or None)


def foreign_label(path: str, key: str, label: int, options: argparse.Namespace) -> VmzError:
    """The error of a record whose label the network lacks."""
    name = described(path, key, bool(options.use_local_file))
    return VmzError(
        f"{name} has label {label}, but --num_labels={options.num_labels} allows 0 to {options.num_labels - 1}; is "
        "this the database of another data set?"
    )


def _running(scores: Scores, options: argparse.Namespace) -> str:
    return "" if options.multi_label else f"clip@1 {scores.right_clips / scores.all_clips:.3f}"


def environment(options: argparse.Namespace) -> dict[str, str]:
    """What ran it: versions, engine, device."""
    import av
    import torch

    return {
        "vmz": __version__,
        "engine": options.engine,
        "device": ", ".join(device_names(options)),
        "processes": str(group.world_size()),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "pyav": str(av.__version__),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
