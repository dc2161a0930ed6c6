"""Clip-to-video evaluation: every video of an LMDB once, the published protocol, whatever the engine.

Clips are evenly spaced over a video, the network scores each, and a video's score is their mean (or maximum).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from vmz import zoo
from vmz.checkpoints import matching
from vmz.datasets.audit import check_data, print_warnings, recipe
from vmz.datasets.listed_data import listed_data
from vmz.engines.engine import Engine
from vmz.errors import VmzError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.network import Weights, check_fits, evaluation_model, load_weights
from vmz.evaluation.published import published_account
from vmz.evaluation.recorded_settings import settings as made_by_settings
from vmz.evaluation.records import check_labels, described, in_order
from vmz.evaluation.scored_batches import Batches, SlicedBatches, WholeBatches
from vmz.evaluation.scores import merge, summarise
from vmz.file_formats.class_names import read_label_names
from vmz.metrics import check_multi_label
from vmz.models.registry import Model
from vmz.netdef.analysis import Totals
from vmz.netdef.video_outputs import ARGUMENT_OF, RECORD_INDEX, VIDEO_ID
from vmz.processes import group, identity
from vmz.processes.shares import own_share, share_of_one_pass
from vmz.progress import Progress
from vmz.results.data import DataReport
from vmz.results.evaluation import Evaluation
from vmz.results.scores import Scores
from vmz.settings.engine import environment
from vmz.settings.inference import opened_engine
from vmz.video.database.fingerprint import fingerprint, refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import key_text
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound
from vmz.video.reader import EndOfData, check_holds
from vmz.zoo.labels import labels_of

# Flags on which no clip's score depends: outputs, what is done with the scores, how many clips a batch has.
NOT_OF_SCORES = (
    "output", "save_scores", "report", "list", "check_data", "print_per_class_metrics", "label_names", "aggregation",
    "top_k", "num_iter", "batch_size", "crop_per_inference", "engine", "use_local_file", "get_video_id", "classes",
)  # fmt: skip


def evaluate(config: EvaluationConfig) -> Evaluation:
    """Run the evaluation that `config` describes, together with the other processes of torchrun's run.

    All of them return the result; only the first one's holds the scores. Raises UsageError for a request that is wrong,
    VmzError for data or weights that are.
    """
    return _evaluate(config, lambda model: load_weights(model, config, bool(config.random_weights)))


def evaluate_weights(config: EvaluationConfig, weights: Mapping[str, np.ndarray]) -> Evaluation:
    """The same for weights at hand, {blob: array}, in place of --load_model_path."""
    return _evaluate(config, lambda model: (weights, None))


def _evaluate(
    config: EvaluationConfig, weights_for: Callable[[Model], tuple[Weights, Optional[matching.Report]]]
) -> Evaluation:
    started = time.perf_counter()
    if config.multi_label:
        check_multi_label()
    config.database  # noqa: B018  (refused where none is given)
    with group.joined(), listed_data(config) as config:
        path, names = config.database, _label_names(config)
        ids = {ARGUMENT_OF[VIDEO_ID]: 1} if config.get_video_id else {}
        reader = {ARGUMENT_OF[RECORD_INDEX]: 1, **ids, "on_bad_video": config.on_bad_video, **share_of_one_pass()}
        model = evaluation_model(config, bool(config.crop_per_inference), **reader)
        cost = check_fits(model)
        found = "" if identity.rank() else fingerprint(path)
        with VideoDatabase(path) as database:
            check_holds(database, bool(config.local_files))
            keys = [key_text(key) for key in database.keys]
        weights, report = weights_for(model)
        made_by = None
        if config.save_scores and not identity.rank():
            made_by = made_by_settings(config, weights, "scores", NOT_OF_SCORES)
        with opened_engine(config) as engine:  # takes seconds: what is wrong is told before
            data = _looked_at(config)  # now that flags and weights are known to be right
            keep = [model.prediction] if config.crop_per_inference else WholeBatches.blobs(model)
            engine.load(model.param_init_net, model.net, weights, seed=config.seed, keep=keep)
            loaded, computed = time.perf_counter(), time.process_time()
            with _open_batches(engine, model, config, reader) as batches:
                scores = score_videos(batches, keys, config)
                faults = (batches.skipped, batches.ended_early, batches.without_sound)
                spent = batches.seconds
        parts = group.gather((scores, *faults))
        mine = None
        if parts is not None:
            scores = merge([part[0] for part in parts])
            faults = _faults([part[1:] for part in parts], keys)
            seconds = {"load": loaded - started, "run": time.perf_counter() - loaded, **spent}
            if len(parts) == 1:
                seconds["cpu"] = time.process_time() - computed
            mine = replace(
                _result(config, scores, faults, cost, report, seconds),
                data=data, label_names=names, made_by=made_by, database=found,
            )  # fmt: skip
            refuse_remade(path, found)
        others = group.share(None if mine is None else replace(mine, scores=Scores()))
        return others if mine is None else mine


def _open_batches(engine: Engine, model: Model, config: EvaluationConfig, reader: Mapping[str, Any]) -> Batches:
    if not config.crop_per_inference:
        return WholeBatches(engine, model)
    args = config.reader_args(**reader)
    return SlicedBatches(engine, model, config.crop_per_inference, config.database, args, config.engine)


def _looked_at(config: EvaluationConfig) -> Optional[DataReport]:
    """What the first process finds out about the data beforehand, with its warnings printed."""
    if identity.rank() or not (config.check_data or config.list):
        return None
    row = zoo.row_of(config.zoo, config.load_model_path)
    data = check_data(config, recipe(config, config, row), config.list, config.label_names)
    print_warnings(data)
    return data


Faults = tuple[list[BadVideo], list[EndedEarly], list[WithoutSound]]


def _faults(parts: Sequence[Faults], keys: Sequence[str]) -> Faults:
    """What several processes report, in database order."""
    skipped, ended_early, without_sound = zip(*parts)
    return in_order(skipped, keys), in_order(ended_early, keys), in_order(without_sound, keys)


def _result(
    config: EvaluationConfig,
    scores: Scores,
    faults: Faults,
    cost: Totals,
    report: Optional[matching.Report],
    seconds: Mapping[str, float],
) -> Evaluation:
    if not scores.keys:
        raise VmzError(f"no video of {config.test_data} could be scored; check it with create_video_db.py --check")
    figures, per_class = summarise(scores, config.top_k, bool(config.multi_label))
    return Evaluation(
        figures=figures,
        per_class=per_class,
        totals=cost,
        videos=len(scores.keys),
        clips_per_video=config.rows,
        skipped=faults[0],
        ended_early=faults[1],
        without_sound=faults[2],
        checkpoint=report,
        seconds=seconds,
        scores=scores,
        loss=scores.loss,
        heads=scores.head_figures(),
        config=config,
        environment=environment(config),
        published=published_account(config),
    )


def _label_names(config: EvaluationConfig) -> Optional[Sequence[str]]:
    """Of --label_names, or else of the checkpoint, or else of the list of videos, or else of a private zoo."""
    if config.label_names:
        return read_label_names(config.label_names, config.num_labels)
    listed = config.listed.get(str(config.test_data))
    names = config.labels or (listed.classes if listed and len(listed.classes) == config.num_labels else None)
    row = config.resolution.row if names is None and config.resolution is not None else None
    if row is None or row.labels is None:
        return names
    found = labels_of(row, config.num_labels)
    return found.names if found is not None else None


def score_videos(batches: Batches, keys: list[str], config: EvaluationConfig) -> Scores:
    """Run the net over its reader's one pass, gathering scores. `keys`: of all records, in database order.

    Of several processes each runs every so-many-th batch, and the first one shows how far it has come.
    """
    scores = Scores()

    def named(key: str) -> str:
        return described(config.database, key, bool(config.local_files))

    rows = config.rows
    share = own_share()
    of_all = min(len(keys), config.num_iter * config.batch_size) if config.num_iter else len(keys)
    mine = share.videos(of_all, config.batch_size)
    runs = 0
    title = share.titled("test_net")
    with Progress(mine, "videos", title, every=config.display_iter, quiet=share.index > 0) as progress:
        while not (config.num_iter and share.batch(runs) >= config.num_iter):
            group.check()
            try:
                batch = batches.next_batch()
            except EndOfData:
                break
            runs += 1
            count = len(batch.records)
            labels = batch.labels.reshape(count, rows, -1)[:, 0]
            names = [keys[record] for record in batch.records]
            if not config.multi_label:
                labels = labels[:, 0]
                check_labels(labels, names, config)
            clips = batch.clips.reshape(count, rows, -1)
            scores.add(clips, labels, names, config.aggregation, bool(config.save_scores), named)
            for head, of_clips in batch.heads.items():
                scores.add_head(head, of_clips.reshape(count, rows, -1), labels)
            scores.records.extend(int(record) for record in batch.records)
            if batch.video_ids is not None:
                scores.video_ids.extend(int(number) for number in batch.video_ids[::rows])
            progress.update(count, note=_running(scores, config))
    return scores


def _running(scores: Scores, config: EvaluationConfig) -> str:
    return "" if config.multi_label else f"clip@1 {scores.right_clips / scores.all_clips:.3f}"
