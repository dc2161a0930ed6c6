"""The folder in which the documents' blocks are run: what they name, made small.

It stands for the clone (its tools and scripts are in it) and for the reader's own files: lists, videos, databases,
checkpoints, scores, features. A file that a new block names is added in `prepare`. The checkpoint of a command with
`--zoo NAME --load_model_path FILE` is made for the network of NAME.
"""

from __future__ import annotations

import csv
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tests.docs.blocks import ROOT, Block
from tests.support.motion import CLASSES, make_videos
from vmz import zoo
from vmz.checkpoints.folders import save_folder
from vmz.checkpoints.loading import save
from vmz.checkpoints.net_writing import given_net, predict_net, write_nets
from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.scores import score_arrays
from vmz.features.formats.feature_files import save_features
from vmz.features.formats.table import ArrayTable
from vmz.layouts.conversion import convert
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.netdef.blob_names import without_scopes
from vmz.netdef.pruning import prune
from vmz.results.scores import Scores
from vmz.settings.network import model_config
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record

CLONE = ("tools", "data", "scripts", "models_zoo", "hubconf.py")
OLD_PROGRAMS = ROOT / "tests" / "legacy" / "programs"
DEMO_WEIGHTS = ROOT / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl"
VIDEOS = 4
# What train_net writes into a checkpoint of the demo's network, as far as a test takes it.
PROTOCOL = {
    **{"model_name": "r2plus1d", "model_depth": 10, "channel_multiplier": 0.1, "num_labels": len(CLASSES)},
    **{"clip_length_rgb": 8, "sampling_rate_rgb": 1, "video_res_type": 1, "test_clip_per_video": 2},
}


def prepare(folder: Path) -> Path:
    """Fill `folder`; a second or two."""
    for name in CLONE:
        (folder / name).symlink_to(ROOT / name)
    for name in ("videos", "films"):
        (folder / name).mkdir()
    rows: list[tuple[str, int]] = []
    for number, motion in enumerate(CLASSES[:VIDEOS]):
        path = folder / "videos" / f"{motion}.mp4"
        path.write_bytes(make_videos.make_video(motion, (1, 0, number)))
        shutil.copy(path, folder / "films")
        rows.append((f"videos/{path.name}", number))
        named = folder / "class_folders" / motion / path.name
        named.parent.mkdir(parents=True)
        shutil.copy(path, named)
    for name in ("list.csv", "val.csv"):
        with open(folder / name, "w", newline="") as stream:
            csv.writer(stream).writerows([("org_video", "label"), *rows])
    shutil.copy(folder / rows[0][0], folder / "video.mp4")
    for label, motion in enumerate(CLASSES[:2]):
        (folder / "my_videos" / motion).mkdir(parents=True)
        for number in range(2):
            content = make_videos.make_video(motion, (2, number, label))
            (folder / "my_videos" / motion / f"{number}.mp4").write_bytes(content)
    for name in ("train.txt", "val.txt"):
        lines = (f"videos/{CLASSES[label % VIDEOS]}.mp4 {motion}\n" for label, motion in enumerate(CLASSES))
        (folder / name).write_text("".join(lines))
    (folder / "classes.txt").write_text("".join(f"class {label}\n" for label in range(400)))
    with DatabaseWriter(folder / "val_lmdb") as writer:
        for video, label in rows:
            writer.write(Record(b"%05d" % label, (folder / video).read_bytes(), (label,)))
    shutil.copytree(folder / "val_lmdb", folder / "train_lmdb")
    weights = load_pickle(DEMO_WEIGHTS)
    (folder / "runs").mkdir()
    save(folder / "runs" / "r2plus1d_best.pkl", weights, about={"labels": CLASSES, "protocol": PROTOCOL})
    if find_spec("safetensors"):
        settings = {**PROTOCOL, "clip_per_video": 2}
        del settings["test_clip_per_video"]
        saved = {"saved": {"settings": settings}, "labels": CLASSES}
        save_folder(folder / "my_model", without_scopes(weights), saved, "# A model\n")
    save(folder / "r2plus1d_8.mdl", weights)
    save(folder / "r2plus1d_8.pkl", weights)
    save(
        folder / "flow.pkl",
        network_weights(
            ModelConfig(model_depth=10, channel_multiplier=0.1, num_labels=8, num_channels=2, clip_length=8)
        ),
    )
    (folder / "old" / "tools").mkdir(parents=True)
    shutil.copy(OLD_PROGRAMS / "our_lib" / "tools" / "evaluate.py", folder / "old" / "tools" / "test_net.py")
    shutil.copy(OLD_PROGRAMS / "database" / "create_db.py", folder / "old")
    write_scores(folder)
    write_dense(folder)
    write_old_model(folder / "old_model")
    return folder


def write_old_model(folder: Path) -> None:
    """predict_net.pb and init_net.pb of a small network, as a Caffe2 program leaves them."""
    model = build(ModelConfig(model_depth=10, channel_multiplier=0.1, num_labels=3, clip_length=8))
    found = seeded_weights([*model.params, *model.computed_params])
    weights = {f"gpu_0/{name}": array for name, array in found.items()}
    inputs, outputs = ["gpu_0/data"], ["gpu_0/softmax"]
    folder.mkdir()
    net = predict_net(prune(model.net, inputs, outputs), inputs, weights, outputs)
    write_nets(folder / "predict_net.pb", net, given_net(weights, inputs))


def network_weights(config: ModelConfig) -> dict[str, np.ndarray]:
    model = build(config)
    return seeded_weights([*model.params, *model.computed_params])


def write_scores(folder: Path) -> None:
    """scores.npz, and three shards of another run, as --save_scores keeps them."""
    random = np.random.RandomState(0)
    for number, name in enumerate(["scores", "shard_0", "shard_1", "shard_2"]):
        scores = Scores()
        keys = [f"{number}_{video}" for video in range(4)]
        scores.add(
            random.rand(4, 3, 8).astype(np.float32), random.randint(0, 8, 4).astype(np.int32), keys, 0, keep=True
        )
        arrays = score_arrays(scores, EvaluationConfig(test_data="val_lmdb"))
        np.savez(folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]


def write_dense(folder: Path) -> None:
    """rgb/ and flow/: the softmax of clips of the same three videos."""
    random = np.random.RandomState(0)
    video = np.arange(12) // 4
    for stream in ("rgb", "flow"):
        (folder / stream).mkdir()
        softmax = random.rand(12, 8).astype(np.float32)
        table = ArrayTable({"softmax": softmax, "label": video.astype(np.int32), "video_id": video})
        save_features(folder / stream / "features_0.npz", table, "npz")


def add_published_weights(folder: Path, block: Block) -> None:
    """The checkpoint of each command with --zoo: generated weights of that network, under the name that it gives."""
    for command in block.commands():
        name, file = (re.search(rf"--{flag}[= ](\S+)", command) for flag in ("zoo", "load_model_path"))
        if name is not None and file is not None and not (folder / file[1]).exists():
            zoo.find(name[1])
            config = EvaluationConfig.resolved(zoo=name[1])
            if config.use_convolutional_pred:  # so it is tested; it was trained with a fully connected classifier
                config = replace(config, use_convolutional_pred=0, crop_size=224)
            save_pickle(folder / file[1], network_weights(model_config(config)))


FETCHING = re.compile(r"vmz (?:predict|export|finetune)\b.*--zoo[= ](\S+)|load_model\(\"(\w+)\"")


def fill_cache(folder: Path, block: Block) -> Path:
    """The cache of a block whose commands fetch: generated weights of each published model that it names."""
    cache = folder / "cache"
    cache.mkdir()
    for names in FETCHING.findall("\n".join(block.commands())):
        if (folder / (names[0] or names[1])).exists():
            continue  # a folder of a model, not a name
        row = zoo.find(names[0] or names[1])
        assert row.file is not None
        save_pickle(cache / row.file, network_weights(model_config(EvaluationConfig.resolved(zoo=row.name))))
    return cache


# Weights of whole networks, in files of 50 to 130 MB: {name: network, depth, layout}
LARGE = {
    "r3d.pkl": ("r3d", 18, "vmz"),
    "r2plus1d_18.pth": ("r2plus1d", 18, "ig65m"),
    "csn_50.pth": ("ir-csn", 50, "mmaction2"),
}


def add_large_weights(folder: Path, block: Block) -> None:
    """Those that the block names."""
    for name, (network, depth, layout) in LARGE.items():
        if re.search(rf"\b{re.escape(name)}\b", block.text):
            blobs = network_weights(ModelConfig(network, depth, num_labels=400))
            save(folder / name, blobs if layout == "vmz" else convert(blobs, layout).tensors)


def remove_outputs(folder: Path, block: Block) -> None:
    """What the block itself creates and another one expects: a tool would not write over it."""
    for output in re.findall(r"--(?:output_file|output_path|save_model_path)[= ](\S+)", block.text):
        path = folder / output
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def interpreter(block: Block) -> str:
    """The Python of the environment that the block is for; of the second one only where it is."""
    return str(ROOT / ".venv-caffe2" / "bin" / "python") if block.on_caffe2 else sys.executable


def arguments(block: Block) -> Sequence[str]:
    """What runs it, in the folder."""
    if block.language == "python":
        return [interpreter(block), "-c", block.text]
    return ["bash", "-euo", "pipefail", "-c", block.text]
