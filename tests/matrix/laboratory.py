"""What the rows need: databases, weights and videos, made when first asked for; and what each run gave, kept."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from tests.engines.small_training import moving_video
from tests.matrix.cells import Cell, Row
from tests.matrix.running import Answer, Call, run, run_together
from tests.support.made_files import MadeFiles
from tests.support.sounding_videos import sounding_video
from tests.video.frames.test_images import encoded
from tests.video.test_untrimmed import film
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.datasets.create_database import DatabaseOptions, read_list, write_database
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

LABELS = 5
NETWORK: dict[str, Any] = {"model_name": "r2plus1d", "model_depth": 10, "channel_multiplier": 0.1, "num_labels": LABELS}
SHAPES: dict[str, dict[str, Any]] = {  # of the networks that have weights in a file
    "rgb": {},
    "multi": {"multi_label": True},
    "flow": {"num_channels": 2},
    "images": {"model_name": "r2d", "clip_length": 1},
    "sound": {"model_name": "a_resnet", "model_depth": 18, "num_channels": 1},
    "av": {"model_name": "av_resnet-r3d", "model_depth": 18, "g_blend": True},
    "sound_multi": {"model_name": "a_resnet", "model_depth": 18, "num_channels": 1, "multi_label": True},
    "av_multi": {"model_name": "av_resnet-r3d", "model_depth": 18, "g_blend": True, "multi_label": True},
}


@dataclass(frozen=True)
class Result:
    """What a row's commands gave in a cell: the last one's answer, and the folder `{out}`."""

    answers: list[Answer]
    folder: Path

    @property
    def output(self) -> str:
        return self.answers[-1].output

    @property
    def errors(self) -> str:
        return self.answers[-1].errors


class Laboratory(MadeFiles):
    """Files by name, and results by row and cell. `wanted`: the cells of two processes that are going to be asked for.

    They are run together, for the processes take seconds to start. `shared`: a folder of all workers of pytest-xdist.
    """

    def __init__(self, folder: Path, shared: Path, wanted: Sequence[tuple[Row, Cell]] = ()) -> None:
        super().__init__(folder, _MAKERS)
        self._shared, self._wanted = shared, wanted
        self._results: dict[Any, Result] = {}

    def file_name(self, name: str) -> str:
        return re.sub("_(pkl|mdl|csv)$", r".\1", name)

    def result(self, row: Row, cell: Cell, *more: str) -> Result:
        """What the row gave, run now if need be; `more`: flags at the end of its commands."""
        key = (row.name, cell, more)
        if key not in self._results:
            if cell.processes == 1:
                self._results[key] = self._alone(row, cell, more)
            elif more:
                raise ValueError("flags can only be added to a run of one process")
            else:
                self._results[key] = self._together(row, cell)
        return self._results[key]

    def calls(self, row: Row, cell: Cell, folder: Path, more: Sequence[str] = ()) -> list[Call]:
        """The row's command lines as they are run in a cell."""
        found = []
        for command in row.commands:
            devices = 2 if command.as_gpus else cell.processes
            flags = [flag.format_map(_Names(self, folder, cell, devices)) for flag in command.flags]
            if command.tool in _WITH_ENGINE:
                flags.append(f"--engine={cell.engine}" if not _has(flags, "--engine") else "--seed=0")
            found.append(Call(command.tool, (*flags, *more), command.stop_after, command.as_gpus))
        return found

    def _alone(self, row: Row, cell: Cell, more: Sequence[str]) -> Result:
        folder = self.folder / "_".join([row.name, cell.engine, *(flag.strip("-") for flag in more)])
        (folder / "features").mkdir(parents=True)
        return Result([run(call) for call in self.calls(row, cell, folder, more)], folder)

    def _together(self, row: Row, cell: Cell) -> Result:
        folder = self._shared / f"two_{cell.engine}"
        rows = [one for one, where in self._wanted if where == cell] or [row]
        with _locked(self._shared / f"two_{cell.engine}.lock"):
            if not folder.exists():
                self._run_all(rows, cell, folder)
        path = folder / row.name / "answers.json"
        if not path.exists():  # not among those that were wanted
            return self._run_one(row, cell, folder)
        return Result([Answer(**answer) for answer in json.loads(path.read_text())], path.parent)

    def _run_one(self, row: Row, cell: Cell, folder: Path) -> Result:
        folder = folder.with_name(f"{folder.name}_{row.name}_{os.getpid()}")
        self._run_all([row], cell, folder)
        path = folder / row.name / "answers.json"
        return Result([Answer(**answer) for answer in json.loads(path.read_text())], path.parent)

    def _run_all(self, rows: Sequence[Row], cell: Cell, folder: Path) -> None:
        folder.mkdir()
        calls: list[Call] = []
        parts = {}
        for row in rows:
            (folder / row.name / "features").mkdir(parents=True)
            own = self.calls(row, cell, folder / row.name)
            parts[row.name] = slice(len(calls), len(calls) + len(own))
            calls.extend(own)
        answers = run_together(calls, folder)
        for name, part in parts.items():
            (folder / name / "answers.json").write_text(json.dumps([asdict(answer) for answer in answers[part]]))


_WITH_ENGINE = ("train_net", "test_net", "test_net_large", "extract_features", "dump_clips", "predict")


class _Names(Mapping[str, str]):
    """What stands in braces in a flag: files of the laboratory; {out}; {engine} and {other}, the other engine;
    {iterations_N}, the clips of so many iterations of two on each device."""

    def __init__(self, laboratory: Laboratory, folder: Path, cell: Cell, devices: int) -> None:
        other = "caffe2" if cell.engine == "pytorch" else "pytorch"
        self._laboratory = laboratory
        self._own = {"out": str(folder), "engine": cell.engine, "other": other}
        self._own.update({f"iterations_{count}": str(2 * count * devices) for count in (1, 2, 4)})

    def __getitem__(self, name: str) -> str:
        return self._own[name] if name in self._own else str(self._laboratory[name])

    def __iter__(self) -> Iterator[str]:
        return iter([*self._own, *self._laboratory])

    def __len__(self) -> int:
        return len(self._own) + len(self._laboratory)


def _has(flags: Sequence[str], name: str) -> bool:
    return any(flag.startswith(f"{name}=") for flag in flags)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def config(name: str) -> ModelConfig:
    """The configuration of one of SHAPES."""
    return ModelConfig(**{**NETWORK, "clip_length": 4, **SHAPES[name]})  # type: ignore[arg-type]


def _weights(name: str) -> Callable[[Laboratory, Path], None]:
    def make(_: Laboratory, path: Path) -> None:
        model = build(config(name))
        save_pickle(path, seeded_weights([*model.params, *model.computed_params]))

    return make


def _videos(frames: int) -> Callable[[Laboratory, Path], None]:
    """Seven videos, of one label when single-label and of two when multi-label, with start frames and ids."""

    def make(_: Laboratory, path: Path) -> None:
        with DatabaseWriter(path) as writer:
            for number in range(7):
                content = moving_video(path.with_name(f"{path.name}_{number}.avi"), number, frames)
                writer.write(Record(b"%02d" % number, content, _labels(number), number % 3, 900 + number % LABELS))

    return make


def _sounding(frames: int, silent: Optional[int] = None) -> Callable[[Laboratory, Path], None]:
    """Seven videos with sound, but for number `silent`; labels, start frames and ids are those of `_videos`."""

    def make(_: Laboratory, path: Path) -> None:
        with DatabaseWriter(path) as writer:
            for number in range(7):
                film = path.with_name(f"{path.name}_{number}.mp4")
                content = sounding_video(film, number, frames, sound=number != silent, codec="alac")
                writer.write(Record(b"%02d" % number, content, _labels(number), number % 3, 900 + number % LABELS))

    return make


def _labels(number: int) -> tuple[int, ...]:
    """One or two of a video; a network of one label takes the first."""
    return tuple(dict.fromkeys((number % LABELS, number * number % LABELS)))


def _folders(videos: int) -> Callable[[Laboratory, Path], None]:
    """Videos of as many frames as a clip has, in folders of five classes."""

    def make(_: Laboratory, path: Path) -> None:
        for number in range(videos):
            folder = path / f"class {number % LABELS}"
            folder.mkdir(parents=True, exist_ok=True)
            moving_video(folder / f"{number}.avi", number, 4)

    return make


def _list(laboratory: Laboratory, path: Path) -> None:
    """Videos of nine frames, with start frames and ids."""
    rows = ["org_video,label,start_frm,video_id"]
    for number in range(7):
        video = path.with_name(f"listed_{number}.avi")
        moving_video(video, number, 9)
        rows.append(f"{video},{number % LABELS},{number % 3},{900 + number}")
    path.write_text("\n".join(rows) + "\n")


def _lmdb_of(name: str) -> Callable[[Laboratory, Path], None]:
    """What create_video_db.py makes of it."""

    def make(laboratory: Laboratory, path: Path) -> None:
        options = DatabaseOptions()
        write_database(read_list(laboratory[name], options), path, options, laboratory[name])

    return make


def _images(_: Laboratory, path: Path) -> None:
    random = np.random.RandomState(1)
    with DatabaseWriter(path) as writer:
        for number in range(5):
            picture = np.kron(random.randint(0, 256, (6, 8, 3)), np.ones((20, 20, 1))).astype(np.uint8)
            writer.write(Record(b"%02d" % number, encoded(picture, ".png"), (number % LABELS,), None, None))


def _films(_: Laboratory, path: Path) -> None:
    path.mkdir()
    for name, frames in (("a", 60), ("b", 33)):
        film(path / f"{name}.mp4", [4 * frame for frame in range(frames)])


def _state(laboratory: Laboratory, path: Path) -> None:
    """A checkpoint of a training: parameters, statistics and momenta."""
    from tests.matrix.rows import ROWS

    row = next(row for row in ROWS if row.name == "tune_pkl")
    shutil.copy(laboratory.result(row, Cell("pytorch", 1)).folder / "run_1.mdl", path)


_MAKERS: dict[str, Callable[[Laboratory, Path], None]] = {
    "clips": _videos(9),
    "short": _videos(4),  # of as many frames as a clip has: nothing to draw
    "sounding": _sounding(25, silent=3),
    "short_sounding": _sounding(4),
    "pictures": _images,
    "films": _films,
    "list_csv": _list,
    "class_folders": _folders(7),
    "full_folders": _folders(2 * LABELS),
    "lmdb_of_list": _lmdb_of("list_csv"),
    "lmdb_of_folders": _lmdb_of("class_folders"),
    "state_mdl": _state,
    **{f"{name}_pkl": _weights(name) for name in SHAPES},
}


def is_here(package: str) -> bool:
    """Whether a package can be imported; "" is no package."""
    return not package or importlib.util.find_spec(package) is not None
