"""Features of every clip of an LMDB: any blobs of a network, streamed to disk, in one file at the end.

A run that was stopped goes on where it was; several processes give the file that one gives.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Optional

import numpy as np

from vmz.checkpoints import matching
from vmz.datasets.listed_data import listed_data
from vmz.engines.engine import Engine
from vmz.errors import UsageError, VmzError
from vmz.evaluation.network import Weights, check_fits, evaluation_model, load_weights
from vmz.evaluation.recorded_settings import finished_account, settings, write_account
from vmz.evaluation.records import described, in_order
from vmz.features.config import ExtractionConfig
from vmz.features.formats.feature_files import HDF5, check_writable, format_of, load_features, save_features
from vmz.features.formats.table import ArrayTable, squeezed
from vmz.features.kept_faults import Kept
from vmz.features.rows import Parts, PartWriter
from vmz.features.sanity_check import SANITY, sanity_figures
from vmz.features.work import Work, work_folder
from vmz.file_formats.json_files import instance
from vmz.models.registry import Model
from vmz.netdef.blob_names import unscoped
from vmz.netdef.builder import set_arguments
from vmz.netdef.net_parts import video_inputs
from vmz.netdef.video_outputs import ARGUMENT_OF, RECORD_INDEX, START_FRAME, VIDEO_ID
from vmz.outputs import Output, in_progress
from vmz.processes import group, identity
from vmz.processes.shares import own_share, share_of_one_pass
from vmz.progress import Progress
from vmz.results.scores import first_not_finite
from vmz.settings.inference import opened_engine
from vmz.text import counted
from vmz.video.database.fingerprint import refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase
from vmz.video.database.records import key_text
from vmz.video.faults import BadVideo, EndedEarly, WithoutSound
from vmz.video.reader import EndOfData, check_holds

SKIPPED, ENDED_EARLY, SILENT = "skipped.json", "ended_early.json", "without_sound.json"
OF_LABELS = {"label", "label_float", "loss", "accuracy"}  # blobs that depend on the labels
UNUSED = ("stride_seconds",)


@dataclass(frozen=True)
class Extraction:
    """What became of a run. shapes: of the arrays in the file; sanity: the figures of --sanity_check, None without it.

    was_there: whether an earlier run of the same settings had done it all.
    """

    path: str
    shapes: Mapping[str, tuple[int, ...]]
    videos: int
    resumed: int
    skipped: list[BadVideo]
    ended_early: list[EndedEarly]
    without_sound: list[WithoutSound]
    sanity: Optional[Mapping[str, float]]
    checkpoint: Optional[matching.Report]
    seconds: float
    was_there: bool = False


def extract(config: ExtractionConfig) -> Optional[Extraction]:
    """Do what `config` say, together with the other processes of torchrun's run.

    Returns the account of it, None on the others than the first process. Raises UsageError for a wrong request,
    VmzError for data or weights that are; what was extracted till then is kept for the next run. A finished file of the
    same settings is not made again, one of other settings not replaced, unless by --resume=0.
    """
    with group.joined(), data_of(config) as config:
        return _extract(config)


def data_of(config: ExtractionConfig) -> AbstractContextManager[ExtractionConfig]:
    """`listed_data` of an extraction: the classes are the data's own, unless figures of the network's are asked for."""
    return listed_data(config, own_classes=not config.sanity_check)


def _extract(config: ExtractionConfig) -> Optional[Extraction]:
    started = time.perf_counter()
    names = feature_names(config)
    form = output_format(config, names)
    output = Output("--output_path", config.output, beside=(".json",))
    with in_progress(output, options=config):
        model = _network(config, names)
        weights, report = load_weights(model, config, bool(config.random_weights))
        keys = _keys(config)
        recorded = {**settings(config, weights, form, UNUSED), "keep_axes": _keeps_axes(config)}
        work = Work(config.output)
        earlier = None if identity.rank() or work.is_temporary else _finished(config, recorded)
        if group.share(earlier is not None):
            return earlier
        work.claim(recorded, bool(config.resume))
        try:
            shares = group.gather(_fill(work.own_folder(), model, names, weights, keys, config))
        except BaseException:
            work.discard_if_empty()
            raise
        if shares is None:
            return None
        refuse_remade(config.database, recorded["test_data"], "extract again with --resume=0")
        table = _table(work.folders(), names, config.rows, config)
        save_features(config.output, table, form)
        found = Extraction(
            path=config.output,
            shapes={name: table.shape(name) for name in names},
            videos=len(table.records),
            resumed=sum(share.resumed for share in shares),
            skipped=in_order([share.skipped for share in shares], keys),
            ended_early=in_order([share.ended_early for share in shares], keys),
            without_sound=in_order([share.without_sound for share in shares], keys),
            sanity=_sanity_check(table, config.rows, config),
            checkpoint=report,
            seconds=time.perf_counter() - started,
        )
        if not work.is_temporary:
            write_account(config.output, {"settings": recorded, **_account(found)})
        work.remove()
        return found


def _network(config: ExtractionConfig, names: Sequence[str]) -> Model:
    """The network with its reader of this process's share; UsageError where `names` are not of it."""
    reader = _reader_arguments(config, names)
    model = evaluation_model(config, **reader)
    check_features(model, names)
    check_fits(model)
    return model


def _keys(config: ExtractionConfig) -> list[str]:
    """Of every record of the database, which is checked to hold what is read from it."""
    with VideoDatabase(config.database) as database:
        check_holds(database, bool(config.local_files))
        return [key_text(key) for key in database.keys]


def _account(found: Extraction) -> dict[str, Any]:
    """What is kept beside the file."""
    return {
        "videos": found.videos,
        "shapes": {name: list(shape) for name, shape in found.shapes.items()},
        "skipped": [vars(bad) for bad in found.skipped],
        "ended_early": [vars(video) for video in found.ended_early],
        "without_sound": [vars(video) for video in found.without_sound],
        "sanity": found.sanity,
    }


def _finished(config: ExtractionConfig, wanted: Mapping[str, Any]) -> Optional[Extraction]:
    """The account of an earlier run that has done all this; None where there is something to do."""
    path = config.output
    if not config.resume or work_folder(path).exists():
        return None
    account = finished_account(path, wanted)
    if account is None:
        return None
    if account["skipped"] and config.on_bad_video == "stop":
        raise UsageError(
            f"{path} was written by a finished run that left out {counted(len(account['skipped']), 'video')} "
            f"(--on_bad_video=skip)"
            "; give that flag again, or --resume=0 to extract again"
        )
    sanity = account.get("sanity")
    if not config.sanity_check:
        sanity = None
    elif sanity is None or tuple(sanity) != SANITY[config.sanity_check] or None in sanity.values():
        sanity = sanity_figures(ArrayTable(load_features(path)), config.sanity_check)
    return Extraction(
        path=path,
        shapes={name: tuple(shape) for name, shape in account["shapes"].items()},
        videos=account["videos"],
        resumed=account["videos"],
        skipped=[instance(BadVideo, entry) for entry in account["skipped"]],
        ended_early=[instance(EndedEarly, entry) for entry in account.get("ended_early", ())],
        without_sound=[instance(WithoutSound, entry) for entry in account.get("without_sound", ())],
        sanity=sanity,
        checkpoint=None,
        seconds=0.0,
        was_there=True,
    )


def _keeps_axes(config: ExtractionConfig) -> int:
    """Whether axes of 1 stay: here they do, as in the original's files, unless they are asked to go."""
    return 1 if config.keep_axes is None else int(config.keep_axes)


def feature_names(config: ExtractionConfig) -> list[str]:
    """--features as a list. Raises UsageError for none, for one twice, and where the other flags do not go with it."""
    names = [name.strip() for name in config.features.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"--features={config.features} must name blobs, each once, such as final_avg,softmax,label")
    for name in (VIDEO_ID, START_FRAME):
        if name in names and not getattr(config, ARGUMENT_OF[name]):
            raise UsageError(f"--features has {name}, which needs --{ARGUMENT_OF[name]}=1")
    if config.sanity_check == 1 and (not {"softmax", "label"} <= set(names) or config.multi_label):
        raise UsageError("--sanity_check=1 needs softmax and label among --features, and one label a video")
    if config.sanity_check == 2 and (not {"prob", "label"} <= set(names) or not config.multi_label):
        raise UsageError("--sanity_check=2 needs prob and label among --features, and --multi_label=1")
    return names


def output_format(config: ExtractionConfig, names: Sequence[str]) -> str:
    """Of --output_path. Raises UsageError, before the work, where `names` could not be written to it after it."""
    form = HDF5 if config.save_h5 else format_of(config.output)
    check_writable(config.output, form, names)
    return form


def check_features(model: Model, names: Sequence[str]) -> None:
    """Raise UsageError for a blob that the net has not, or that no batch changes."""
    blobs = dict.fromkeys(unscoped(blob) for op in model.net.op for blob in op.output)
    blobs.update(dict.fromkeys(("data", "label")))
    constant = {unscoped(blob) for blob in model.all_params}
    for name in names:
        if name in constant:
            raise UsageError(f"--features has {name}, a parameter of the network; it is in the file of the weights")
        if name not in blobs:
            like = [blob for blob in blobs if name in blob][:8] or list(blobs)[-8:]
            raise UsageError(
                f"--features has {name}, which {model.config.model_name} does not compute; among its {len(blobs)} "
                f"blobs are {', '.join(like)} (tools/print_net.py shows them all)"
            )


def _sanity_check(table: _WithRecords, rows: int, config: ExtractionConfig) -> Optional[dict[str, float]]:
    with VideoDatabase(config.database) as database:

        def named(row: int) -> str:
            return database.describe(key_text(database.keys[table.records[row // rows]]))

        return sanity_figures(table, config.sanity_check, named)


def _reader_arguments(config: ExtractionConfig, names: Sequence[str]) -> dict[str, Any]:
    """Of VideoInput. Labels that nobody asks for may be of any classes: features do not depend on them."""
    return {
        **({} if set(names) & OF_LABELS else {"do_multi_label": 0}),
        "decode_type": config.decode_type,
        "get_video_id": config.get_video_id,
        "get_start_frame": config.get_start_frame,
        ARGUMENT_OF[RECORD_INDEX]: 1,
        "on_bad_video": config.on_bad_video,
        **share_of_one_pass(),
        **({} if config.decode_type else {"seed": config.seed + 1}),  # 0 would draw other clips in each process
    }


class _Share(NamedTuple):
    """Of one process. resumed: how many videos an earlier run had done; the others: reports of both runs."""

    resumed: int
    skipped: list[BadVideo]
    ended_early: list[EndedEarly]
    without_sound: list[WithoutSound]


def _fill(
    folder: Path, model: Model, names: Sequence[str], weights: Weights, keys: Sequence[str], config: ExtractionConfig
) -> _Share:
    """Extract this process's share into its folder."""
    stored = [name for name in names if name != RECORD_INDEX]
    blobs = {name: model.blob(name) for name in (*stored, RECORD_INDEX)}
    with PartWriter(folder, stored, config.rows) as writer, opened_engine(config) as engine:
        resumed = writer.records
        _check_last(writer, keys, config)
        skipped: Kept[BadVideo] = Kept(folder / SKIPPED, BadVideo)
        ended: Kept[EndedEarly] = Kept(folder / ENDED_EARLY, EndedEarly)
        silent: Kept[WithoutSound] = Kept(folder / SILENT, WithoutSound)
        if writer.last is not None:
            _set_first_position(model.net, own_share().position_after(writer.last, config.batch_size))
        engine.load(model.param_init_net, model.net, weights, seed=config.seed, keep=list(blobs.values()))
        with _progress(len(keys), resumed, config) as progress:
            for _ in _runs(engine, -(-resumed // config.batch_size), config):
                records = engine.fetch(blobs[RECORD_INDEX])
                arrays = {name: engine.fetch(blobs[name]) for name in stored}
                _check_finite(arrays, [keys[record] for record in records], config.rows, config)
                if not _keeps_axes(config):
                    arrays = {name: squeezed(array) for name, array in arrays.items()}
                skipped.update(engine.skipped)
                ended.update(engine.ended_early)
                silent.update(engine.without_sound)
                writer.append(records, arrays)
                progress.update(len(records))
        return _Share(
            resumed,
            skipped.update(engine.skipped),
            ended.update(engine.ended_early),
            silent.update(engine.without_sound),
        )


def _check_last(writer: PartWriter, keys: Sequence[str], config: ExtractionConfig) -> None:
    """VmzError where an earlier run left a record that the database has not."""
    if writer.last is not None and writer.last >= len(keys):
        raise VmzError(
            f"{writer.folder} is damaged: it has record {writer.last}, but {config.test_data} has {len(keys)}; start "
            "again with --resume=0"
        )


def _progress(videos: int, resumed: int, config: ExtractionConfig) -> Progress:
    """Of this process's share; the first process shows its own for all."""
    share = own_share()
    title = share.titled("extract_features")
    mine = share.videos(videos, config.batch_size)
    return Progress(mine, "videos", title, every=config.display_iter, done=resumed, quiet=share.index > 0)


def _runs(engine: Engine, first: int, config: ExtractionConfig) -> Iterator[None]:
    """Run the engine on batch after batch of this process's share, the first of them number `first`, from 0 on."""
    for batch in itertools.count(first):
        if 0 < config.num_iterations <= own_share().batch(batch):
            return
        group.check()
        try:
            engine.run()
        except EndOfData:
            return
        yield


def _check_finite(arrays: Mapping[str, np.ndarray], keys: Sequence[str], rows: int, config: ExtractionConfig) -> None:
    """VmzError for a feature that is not finite, with the clip it is of. keys: of the batch, `rows` clips each."""
    for name, array in arrays.items():
        clips = array.reshape(len(keys), rows, -1) if len(array) == len(keys) * rows else array.reshape(1, 1, -1)
        bad = first_not_finite(clips)
        if bad is not None:
            record = described(config.database, keys[bad[0]], bool(config.local_files))
            raise VmzError(
                f"blob {name} of {record} has values that are not finite (clip {bad[1] + 1} of {rows}); check "
                "that the weights belong to this network"
            )


def _set_first_position(net: Any, position: int) -> None:
    for op in video_inputs(net):
        set_arguments(op, first_position=position)


def _table(folders: Sequence[Path], names: Sequence[str], rows: int, config: ExtractionConfig) -> _WithRecords:
    try:
        parts = Parts(folders, [name for name in names if name != RECORD_INDEX], rows)
    except VmzError as error:
        raise VmzError(f"{config.test_data}: {error}") from error
    return _WithRecords(parts, names, rows)


class _WithRecords:
    """Parts, and the record of each row as one more array where it is asked for."""

    def __init__(self, parts: Parts, names: Sequence[str], rows: int) -> None:
        self._parts, self._names, self._rows = parts, list(names), rows
        self.records = parts.records

    def names(self) -> list[str]:
        return self._names

    def dtype(self, name: str) -> np.dtype:
        return np.dtype(np.int64) if name == RECORD_INDEX else self._parts.dtype(name)

    def shape(self, name: str) -> tuple[int, ...]:
        return (len(self.records) * self._rows,) if name == RECORD_INDEX else self._parts.shape(name)

    def chunks(self, name: str) -> Any:
        if name == RECORD_INDEX:
            return iter([np.repeat(self.records, self._rows)])
        return self._parts.chunks(name)
