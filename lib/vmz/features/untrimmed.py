"""Features all along untrimmed videos, without a list or a database: a file for each video, and an index of them.

A video is decoded once from its start to its end, and what the net gives goes to disk batch by batch.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Optional

import numpy as np

from vmz.checkpoints import matching
from vmz.datasets.named_videos import find_videos
from vmz.engines.engine import Engine
from vmz.errors import UsageError, VmzError
from vmz.evaluation.network import check_fits, load_weights
from vmz.evaluation.recorded_settings import claim, read_account, settings
from vmz.features.config import ExtractionConfig
from vmz.features.extraction import check_features
from vmz.features.formats.feature_files import ENDINGS as FILE_ENDINGS
from vmz.features.formats.feature_files import FOREIGN, HDF5, NPY, NPZ, PICKLE, check_writable, save_features
from vmz.features.formats.npz import check_one_array
from vmz.features.formats.table import Columns, Table, squeezed
from vmz.features.rows import Parts, PartWriter
from vmz.features.video_index import ENTRY, INDEX, earlier_entries, entry_of, merged, reusable
from vmz.files import write_json
from vmz.models.registry import Model, build
from vmz.netdef.video_outputs import LABEL, START_FRAME, VIDEO_ID
from vmz.outputs import Output, in_progress
from vmz.processes import group, identity
from vmz.processes.shares import own_share
from vmz.progress import Progress
from vmz.results.scores import first_not_finite
from vmz.settings.inference import opened_engine
from vmz.settings.network import model_config
from vmz.text import printable
from vmz.video.arguments import VideoInputArgs
from vmz.video.clips import ClipError
from vmz.video.faults import EndedEarly
from vmz.video.frames.decoding import DecodingError, Video
from vmz.video.frames.watch import DecodingThreads, Watch, watched
from vmz.video.untrimmed import Window, WindowReader

WORK, NOTE = ".parts", ".done.json"
UNUSED = (
    "test_data", "batch_size", "clip_per_video", "decode_type", "get_video_id", "get_start_frame", "num_iterations",
    "use_local_file", "original_start_faults", "clip_length_of", "sampling_rate_of", "frame_gap_of",
    "do_flow_aggregation", "flow_data_type",
)  # fmt: skip
TIMES = (START_FRAME, "start_seconds", "end_seconds")
ENDINGS = {NPZ: ".npz", NPY: ".npy", PICKLE: ".pkl", HDF5: ".h5"}


@dataclass(frozen=True)
class VideoExtraction:
    """What became of a run: the index file, and its entries of this run's videos; `resumed` of them were there."""

    index: str
    videos: list[dict[str, Any]]
    resumed: int
    checkpoint: Optional[matching.Report]
    seconds: float

    @property
    def ended_early(self) -> list[EndedEarly]:
        """The videos whose decoding stopped before their end."""
        return ended_early(self.videos)


def extract_videos(config: ExtractionConfig) -> Optional[VideoExtraction]:
    """Do what `config` (with videos) say, together with the other processes of torchrun's run.

    Each takes every so-many-th video. Returns the account of it, None on the others than the first process. Raises
    UsageError for a wrong request, VmzError for a video that gives no clip, unless on_bad_video=skip. Videos that are
    finished are kept for the next run. Those that a finished run of the same settings has left in the folder are not
    done again, unless by --resume=0; a folder of other settings is refused.
    """
    started = time.perf_counter()
    names, stride, form = _feature_names(config), _stride(config), HDF5 if config.save_h5 else config.video_format
    if form == NPY:
        check_one_array(names)
    paths = find_videos(config.videos or ())
    folder = _output_folder(config, form)
    args = VideoInputArgs.from_mapping({**config.reader_arguments(), "clip_per_video": 1, "decode_type": 0})
    args.check()
    output = Output("--output_path", folder, folder=True, files=frozenset([INDEX, *_files(paths, form)]))
    with group.joined(), in_progress(output, options=config):
        model = build(model_config(config, batch_size=-1), is_test=True, use_cudnn=bool(config.use_cudnn))
        check_features(model, names)
        check_fits(model)
        weights, report = load_weights(model, config, bool(config.random_weights))
        wanted = {**settings(config, weights, form, UNUSED), "keep_axes": int(bool(config.keep_axes))}
        earlier, done = group.share(None if identity.rank() else _begin(folder, wanted, paths, config))
        mine = own_share().of([path for path in paths if path not in done])
        entries: list[dict[str, Any]] = []
        if len(done) < len(paths):
            with opened_engine(config) as engine:
                blobs = [model.blob(name) for name in names]
                engine.load(model.param_init_net, model.net, weights, seed=config.seed, keep=blobs)
                entries = _Run(engine, model, names, args, stride, form, folder, config).all(mine)
        parts = group.gather(entries)
        if parts is None:
            return None
        found = {**done, **{entry["path"]: entry for part in parts for entry in part}}
        ordered = [found[path] for path in paths]
        about = {"stride_seconds": float(stride), "features": names, "settings": wanted}
        videos = merged(ordered, earlier)
        about["ended_early"] = list(map(vars, ended_early(videos)))
        write_json(folder / INDEX, {"videos": videos, **about})
        shutil.rmtree(folder / WORK, ignore_errors=True)
        return VideoExtraction(str(folder / INDEX), ordered, len(done), report, time.perf_counter() - started)


def ended_early(entries: Sequence[Mapping[str, Any]]) -> list[EndedEarly]:
    """Of the entries of an index."""
    return [
        EndedEarly(os.path.basename(entry["path"]), printable(entry["path"]), entry.get("frames"), entry["ended_by"])
        for entry in entries
        if entry.get("ended_by")
    ]


def _begin(
    folder: Path, wanted: Mapping[str, Any], paths: Sequence[str], config: ExtractionConfig
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """The entries of earlier runs that stay in the index, and those among them of videos that need not be done again.

    The work folder is there for the others: what a stopped run has finished counts as there too.
    """
    resume, work = bool(config.resume), folder / WORK
    earlier = earlier_entries(folder, wanted, paths, resume)
    keep_skipped = config.on_bad_video == "skip"
    done = reusable(earlier, folder, paths, keep_skipped) if resume else {}
    if len(done) < len(paths):
        claim(work, wanted, resume)
        notes = [read_account(note, ENTRY) for note in work.glob(f"*{NOTE}")]
        done.update(reusable(notes, folder, [path for path in paths if path not in done], keep_skipped))
    return earlier, done


class _Run:
    """One process's share: the loaded net, and where the features of each video go."""

    def __init__(
        self,
        engine: Engine,
        model: Model,
        names: Sequence[str],
        args: VideoInputArgs,
        stride: Fraction,
        form: str,
        folder: Path,
        config: ExtractionConfig,
    ) -> None:
        self._engine, self._model, self._names, self._args = engine, model, names, args
        self._stride, self._form, self._folder, self._config = stride, form, folder, config

    def all(self, paths: Sequence[str]) -> list[dict[str, Any]]:
        """The index entries of these videos."""
        clips = {path: int(self._seconds(path) / self._stride) + 1 for path in paths}
        share = own_share()
        title = share.titled("extract_features")
        with Progress(sum(clips.values()), "clips", title, sys.stderr, quiet=share.index > 0) as shown:
            return [self._video(path, shown) for path in paths]

    def _seconds(self, path: str) -> float:
        """How long a video says it is. Opening all of them first finds those that cannot be, before hours of work."""
        try:
            return watched(lambda watch: _stated_seconds(path, watch), self._config.video_timeout)
        except DecodingError as error:
            if self._config.on_bad_video == "stop":
                raise VmzError(f"{path}: {error}; leave such videos out with --on_bad_video=skip") from error
            return 0.0

    def _video(self, path: str, shown: Progress) -> dict[str, Any]:
        name = os.path.basename(path)
        part = self._folder / WORK / f"{name}.rows"
        shutil.rmtree(part, ignore_errors=True)  # a video begins anew: decoding cannot be taken up in its midst
        reader = WindowReader(path, self._args, self._stride)
        columns, rows = [*self._names, *TIMES], self._args.crop_per_clip
        entry = entry_of(path)
        try:
            with PartWriter(part, columns, rows) as writer:
                for windows in _ahead(reader, self._config.batch_size):
                    group.check()
                    places = np.arange(writer.records, writer.records + len(windows))
                    writer.append(places, self._arrays(path, windows))
                    shown.update(len(windows), note=name)
            table = Parts([part], columns, rows)
            entry.update(
                self._save(name, table),
                clips=len(table.records),
                frames=reader.frames,
                seconds=reader.seconds,
                ended_by=reader.ended_by,
                times_mended=reader.times_mended,
            )
        except ClipError as error:
            if self._config.on_bad_video == "stop":
                raise VmzError(f"{path}: {error}; leave such videos out with --on_bad_video=skip") from error
            entry["skipped"] = str(error)
        shutil.rmtree(part, ignore_errors=True)
        write_json(self._folder / WORK / f"{name}{NOTE}", entry)
        return entry

    def _save(self, name: str, table: Table) -> dict[str, str]:
        """Write the features of a video; its files' names. A .npy has no room for the times: they go beside it."""
        file, *beside = _files([name], self._form)
        if self._form != NPY:
            save_features(self._folder / file, table, self._form)
            return {"file": file}
        times = beside[0]
        save_features(self._folder / times, Columns(table, TIMES), NPZ)
        save_features(self._folder / file, Columns(table, self._names), NPY)
        return {"file": file, "times": times}

    def _arrays(self, path: str, windows: Sequence[Window]) -> dict[str, np.ndarray]:
        data = np.concatenate([window.clip for window in windows])
        labels = (len(data), self._config.num_labels) if self._config.multi_label else (len(data),)
        self._engine.feed(self._model.blob("data"), data)
        self._engine.feed(self._model.blob("label"), np.zeros(labels, np.int32))  # the loss is there, if unused
        self._engine.run()
        found = {name: self._engine.fetch(self._model.blob(name)) for name in self._names}
        for name, array in found.items():
            whole = len(array) == len(windows) * self._args.crop_per_clip
            bad = first_not_finite(array.reshape(len(windows) if whole else 1, 1, -1))
            if bad is not None:
                raise VmzError(
                    f"blob {name} of {printable(path)} has values that are not finite, in the clip at "
                    f"{windows[bad[0]].start_seconds:.3f} s; check that the weights belong to this network"
                )
        if not self._config.keep_axes:
            found = {name: squeezed(array) for name, array in found.items()}
        for name, dtype in zip(TIMES, (np.int64, np.float64, np.float64)):
            values = np.array([getattr(window, name) for window in windows], dtype)
            found[name] = np.repeat(values, self._args.crop_per_clip)
        return found


def _ahead(reader: WindowReader, size: int) -> Iterator[list[Window]]:
    """Batches of windows, one decoded while the net is at the one before."""
    windows = iter(reader)

    def take() -> list[Window]:
        return [window for _, window in zip(range(size), windows)]

    thread = DecodingThreads(1)
    try:
        coming = thread.submit(take)
        while batch := thread.result(coming, reader.watch):
            reader.watch.advance()  # while the net ran nothing was decoded
            coming = thread.submit(take)
            yield batch
    except DecodingError as error:
        raise ClipError(str(error)) from error
    finally:
        thread.close()


def _files(paths: Sequence[str], form: str) -> list[str]:
    """The files of these videos' features."""
    endings = [ENDINGS[form], ".times.npz"] if form == NPY else [ENDINGS[form]]
    return [os.path.basename(path) + ending for path in paths for ending in endings]


def _stated_seconds(path: str, watch: Watch) -> float:
    with Video(path, watch) as video:
        return video.seconds


def _feature_names(config: ExtractionConfig) -> list[str]:
    names = [name.strip() for name in config.features.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"--features={config.features} must name blobs, each once, such as final_avg,softmax")
    unknown = [name for name in names if name in (LABEL, VIDEO_ID, *TIMES)]
    if unknown or config.sanity_check or config.test_data:
        what = (
            unknown[0] if unknown else f"--sanity_check={config.sanity_check}" if config.sanity_check else "--test_data"
        )
        raise UsageError(f"{what} does not go with --videos, whose clips have times (always written) and no labels")
    for flag in ("input_type", "image_as_input"):
        if getattr(config, flag):
            raise UsageError(f"--{flag}={getattr(config, flag)} does not go with --videos, which gives RGB clips only")
    return names


def _stride(config: ExtractionConfig) -> Fraction:
    stride = Fraction(str(config.stride_seconds)) if np.isfinite(config.stride_seconds) else Fraction(0)
    if stride <= 0:
        raise UsageError(f"--stride_seconds={config.stride_seconds} must be more than 0")
    return stride


def _output_folder(config: ExtractionConfig, form: str) -> Path:
    if not config.output_path:
        raise UsageError("--output_path is not given; with --videos it takes a folder, created if needed")
    folder = Path(config.output_path)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--output_path={folder} is a file; with --videos it takes a folder")
    if folder.suffix.lower() in (*FILE_ENDINGS, *FOREIGN) and not folder.exists():
        raise UsageError(
            f"--output_path={folder} is the name of a file; with --videos it takes a folder, and --video_format={form} "
            "sets the format of the files in it"
        )
    check_writable(folder / f"features{ENDINGS[form]}" if folder.exists() else folder, form)
    return folder
