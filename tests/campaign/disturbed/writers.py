"""Everything that writes files: its command line, what it writes, and the small files that it reads."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.campaign.disturbed.forked import LONG, run
from tests.engines.real_caffe2 import HAS_CAFFE2, HAS_OPERATORS
from tests.engines.small_training import moving_video
from tests.support.made_files import MadeFiles
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record
from vmz.video.faults import Origin

SIDE, LABELS, VIDEOS = 112, 5, 5
NETWORK = (
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", f"--num_labels={LABELS}",
    f"--crop_size={SIDE}", "--clip_length_rgb=2", "--use_dropout=0",
)  # fmt: skip
READER = (f"--scale_h={SIDE}", f"--scale_w={SIDE + 8}", "--sampling_rate_rgb=1", "--num_decode_threads=1")
WEIGHTS = "--load_model_path={weights.pkl}"
TRAIN = (
    *NETWORK, *READER, "--num_gpus=0", "--train_data={clips}", "--test_data={tested}", "--batch_size=2",
    "--test_batch_size=3", "--test_clip_per_video=1", "--num_epochs=2", "--epoch_size=4", "--base_learning_rate=0.01",
    "--step_epoch=1", "--display_iter=1", "--save_model_name=run", "--deterministic=1", "--seed=3", "--random_mirror=0",
    "--resume=1", "--checkpoint_minutes=0.000001",
)  # fmt: skip
TEST = (*NETWORK, *READER, "--num_gpus=0", WEIGHTS, "--test_data={clips}", "--clip_per_video=2", "--batch_size=2")
EXTRACT = (*NETWORK, *READER, "--num_gpus=0", WEIGHTS, "--batch_size=2")
OF_CLIPS = (*EXTRACT, "--test_data={clips}", "--decode_type=1", "--clip_per_video=1", "--get_video_id=1")
FEATURES = "--features=final_avg,softmax,label,video_id"


@dataclass(frozen=True)
class Writer:
    """A command line that writes into the folder {out}; other names in braces are files of `Inputs`.

    with_engine: it takes --engine. changes: files that have one content after another while it runs. figures: what it
    prints last, before it writes its files. again: what refuses a second run whose work is done. reads: the database
    that it reads, by the name of the input. extra: files beside what {out} holds when it has ended that a run may end
    without, for they tell of it.
    """

    name: str
    tool: str
    flags: tuple[str, ...]
    with_engine: bool = False
    changes: tuple[str, ...] = ()
    figures: str = ""
    again: str = ""
    reads: str = ""
    both: bool = False  # needs real Caffe2 whatever the engine
    needs: str = ""

    def argv(self, inputs: Mapping[str, Path], out: Path, engine: str) -> list[str]:
        return [*named(self.flags, inputs, out), *([f"--engine={engine}"] if self.with_engine else [])]


def named(flags: Sequence[str], inputs: Mapping[str, Path], out: Path) -> list[str]:
    """The flags with the files that stand in braces in them."""

    def path(found: re.Match[str]) -> str:
        return str(out if found[1] == "out" else inputs[found[1]])

    return [re.sub(r"\{([\w.]+)\}", path, flag) for flag in flags]


def _features(name: str, file: str, *more: str, needs: str = "") -> Writer:
    features = "--features=softmax" if file.endswith(".npy") else FEATURES
    flags = (*OF_CLIPS, features, f"--output_path={{out}}/{file}", *more)
    return Writer(name, "extract_features", flags, True, (f"{file}.json",), reads="clips", needs=needs)


WRITERS = (
    Writer(
        "create_video_db",
        "../data/create_video_db",
        ("--list_file={list.csv}", "--output_file={out}/db", "--check", "--min_frames=4", "--on_bad_video=skip"),
        again="exists already",
    ),
    Writer("dense_list", "../data/dense_list",
           ("--list_file={list.csv}", "--output_file={out}/dense.csv", "--parts=2", "--clip_length=4", "--stride=2",
            "--on_bad_video=skip"),
    ),
    Writer("dataset_list", "../data/dataset_list",
           ("--dataset=ucf101", "--annotations={ucf}/trainlist01.txt", "--video_dir={films}", "--missing=skip",
            "--output_file={out}/ucf.csv", "--write_classes={out}/classes.txt"),
    ),
    Writer(
        "train_net",
        "train_net",
        (*TRAIN, "--file_store_path={out}", "--report={out}/page.html", "--output={out}/result.json"),
        True,
        ("run_latest.mdl", "run_best.pkl", "page.html"),
        reads="clips",
    ),
    _features("extract npz", "out.npz"),
    _features("extract HDF5", "out.h5", needs="h5py"),
    _features("extract pickle", "out.pkl"),
    _features("extract npy", "out.npy"),
    Writer(
        "extract untrimmed", "extract_features",
        (*EXTRACT, "--videos={films}/*.mp4", "--features=final_avg,softmax", "--stride_seconds=0.2",
         "--output_path={out}/films"),
        True, ("films/index.json",),
    ),
    Writer(
        "test_net", "test_net",
        (*TEST, "--output={out}/tested.json", "--save_scores={out}/scores.npz", "--report={out}/page.html"),
        True, figures="FLOPs: ", reads="clips",
    ),
    Writer("aggregate_scores", "aggregate_scores", ("{scores.npz}", "--output={out}/again.json"), figures="clip@1"),
    Writer("dump_clips", "dump_clips",
           (*READER, f"--crop_size={SIDE}", "--clip_length_rgb=2", f"--num_labels={LABELS}", "--batch_size=3",
            "--num_batches=0", "--test_data={clips}", "--output={out}/clips.npz", "--contact_sheet={out}/sheet.png"),
           True, figures="key: ", reads="clips", needs="PIL",
    ),
    Writer("mdl to pickle", "minidb_to_pickle",
           ("--load_model_path={state.mdl}", "--save_model_path={out}/weights.pkl")),
    Writer("pickle to mdl", "minidb_to_pickle",
           ("--load_model_path={weights.pkl}", "--save_model_path={out}/weights.mdl", "--db_type=pickle")),
    Writer("convert_net", "convert_net",
           ("--net={state.mdl}", *(f"--output={{out}}/net.{end}" for end in ("mdl", "pb", "pbtxt", "json", "pkl")))),
    Writer("dense aggregation", "dense_prediction_aggregation",
           ("--input_dir={features}", "--output={out}/dense.json"), figures="Accuracy: "),
    Writer("dense fusion", "dense_prediction_fusion",
           ("--input_dir1={features}", "--input_dir2={features}", "--output={out}/fused.json"), figures="Alpha 0.5"),
    Writer("compare_engines", "compare_engines",
           (*NETWORK, "--clips=1", "--output={out}/compared.json", "--html={out}/compared.html"),
           figures="equal: ", both=True),
)  # fmt: skip


def here(writer: Writer, engine: str) -> bool:
    """Whether a writer can be run in this Python."""
    import importlib.util

    if writer.needs and importlib.util.find_spec(writer.needs) is None:
        return False
    if engine == "caffe2" or writer.both:
        return HAS_OPERATORS
    return True


def engine_here(engine: str) -> bool:
    return engine == "pytorch" or HAS_CAFFE2


class Inputs(MadeFiles):
    """Small files below `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, _MAKERS)

    def made_by(self, tool: str, flags: tuple[str, ...], file: str, path: Path) -> None:
        """`path`: what a tool writes to {out}/`file`."""
        out = self.folder / f"{path.name}.made"
        out.mkdir()
        ended = run(tool, named(flags, self, out), out, self.folder, LONG)
        assert ended.status == 0, ended.errors
        shutil.copy(out / file, path)
        shutil.rmtree(out)


def write_database(path: Path, first: int) -> None:
    """VIDEOS records that are called and labelled alike whatever `first` is: that numbers their pictures."""
    with DatabaseWriter(path) as writer:
        for number in range(VIDEOS):
            content = moving_video(path.with_name(f"{path.name}_{number}.avi"), first + number)
            origin = Origin(f"{path.name}_{number}.avi", number + 2, "list.csv")
            writer.write(Record(b"%02d" % number, content, (number % LABELS,), None, 900 + number), origin)


def _database(first: int) -> Callable[[Inputs, Path], None]:
    return lambda inputs, path: write_database(path, first)


def _films(inputs: Inputs, path: Path) -> None:
    path.mkdir()
    for number, frames in enumerate((30, 21, 9)):
        moving_video(path / f"film_{number}.mp4", number, frames)


def _list(inputs: Inputs, path: Path) -> None:
    films = inputs["films"]
    (path.parent / "bad.mp4").write_bytes(b"this is no video")
    rows = [f"{films}/film_{number}.mp4,{name}" for number, name in enumerate(("run", "swim", "run"))]
    path.write_text("\n".join(["org_video,label", *rows, f"{path.parent}/bad.mp4,swim", ""]))


def _ucf(inputs: Inputs, path: Path) -> None:
    path.mkdir()
    (path / "classInd.txt").write_text("1 Run\n2 Swim\n")
    (path / "trainlist01.txt").write_text("Run/film_0.mp4 1\nSwim/film_1.mp4 2\nSwim/film_9.mp4 2\n")


def _weights(inputs: Inputs, path: Path) -> None:
    config = ModelConfig("r2plus1d", 10, LABELS, channel_multiplier=0.1, crop_size=SIDE, clip_length=2)
    model = build(config)
    save_pickle(path, seeded_weights([*model.params, *model.computed_params]))


def _features_folder(inputs: Inputs, path: Path) -> None:
    path.mkdir()
    random = np.random.RandomState(0)
    scores = random.rand(40, LABELS).astype(np.float32)
    arrays = {"softmax": scores / scores.sum(1, keepdims=True), "video_id": np.repeat(np.arange(10), 4)}
    np.savez(path / "0.npz", label=np.repeat(random.randint(0, LABELS, 10), 4), **arrays)


def _made(tool: str, flags: tuple[str, ...], file: str) -> Callable[[Inputs, Path], None]:
    return lambda inputs, path: inputs.made_by(tool, flags, file, path)


_MAKERS: Mapping[str, Callable[[Inputs, Path], None]] = {
    "clips": _database(0),
    "tested": _database(0),
    "other": _database(20),
    "films": _films,
    "list.csv": _list,
    "ucf": _ucf,
    "weights.pkl": _weights,
    "features": _features_folder,
    "state.mdl": _made("train_net", (*TRAIN, "--file_store_path={out}", "--engine=pytorch"), "run_1.mdl"),
    "scores.npz": _made("test_net", (*TEST, "--save_scores={out}/scores.npz", "--engine=pytorch"), "scores.npz"),
}
