"""Fine-tune a published network on your own videos: class folders or a list, two commands to a network of your own."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from vmz import invocation, zoo
from vmz.cli import test_net, train_net
from vmz.cli.shared.options import fetched_weights
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.datasets.class_folders import read_videos
from vmz.datasets.video_lists import check_files
from vmz.errors import UsageError
from vmz.file_formats.json_files import instance, read_json
from vmz.files import atomic_write, write_json
from vmz.finetuning.recommendation import Setting, recommend
from vmz.finetuning.situation import situation_of
from vmz.finetuning.split import Split, split, write_list
from vmz.settings.kinds import Integer, Number
from vmz.settings.self_description import read_description
from vmz.text import counted
from vmz.training.checkpoints import Checkpoints

EXAMPLE = "vmz finetune my_videos --zoo=r2plus1d_34_clip8_ft_kinetics_from_ig65m"
FOLDER, NAME, KEPT = "finetuned", "finetuned", "finetune.json"
OWN = ("data", "val_share", "split_seed", "minutes", "zoo", "load_model_path")


def finetune_parser() -> Parser:
    """train_net's flags, and a few more; what is not given is recommended."""
    parser = train_net.train_parser(
        f"{__doc__} All flags of train_net work; what is not given is recommended from the data and the machine."
    )
    parser.epilog = f"example: {EXAMPLE}"
    parser.add_argument("data", nargs="?", metavar="DATA", help="folder of class folders, or a list of videos (.csv)")
    heading = parser.add_argument_group("fine-tuning")
    heading.add_argument(
        "--val_share", type=Number(0, 0.9), default=0.2, metavar="X", help="share of each class that is tested on"
    )
    heading.add_argument("--split_seed", type=Integer(0, 1 << 32), default=0, metavar="N", help="seed of the split")
    heading.add_argument(
        "--minutes", type=Number(0.01, 1e6), default=10.0, metavar="X", help="how long training may take, roughly"
    )
    return parser


def work(argv: Sequence[str]) -> int:
    parser = finetune_parser()
    given = parser.given_values(argv)
    options = parser.parse_args(list(argv))
    if not options.data:
        raise UsageError(f"no data is given; name a folder of class folders, as in: {EXAMPLE}")
    for flag in ("train_data", "test_data", "label_names", "num_labels"):
        if flag in given:
            raise UsageError(f"--{flag} follows from DATA here; leave it out, or train with train_net.py")
    zoo.use_manifests(given.get("zoo_manifest"))
    own = given.get("load_model_path")
    weights = zoo.local_path(own) if own else fetched_weights(given.get("zoo"))
    if weights is None:
        raise UsageError("no weights are given; name a published model with --zoo, or a file with --load_model_path")
    videos = read_videos(options.data)
    check_files(videos)
    parts = split(videos, options.val_share, options.split_seed)
    folder = Path(given.get("file_store_path", FOLDER))
    store = Checkpoints(str(folder), given.get("save_model_name", NAME))
    store.prepare()
    if not given.get("resume"):
        store.refuse_to_overwrite()
    chosen = _chosen(folder, given, parts, weights, options)
    print_settings(parts, chosen, given)
    invocation.note_reasons({one.flag: one.reason for one in chosen})
    flags = {
        **_data_flags(folder, parts, weights),
        **_new_classifier(parts, weights),
        **{one.flag: one.value for one in chosen},
    }
    flags.update({name: value for name, value in given.items() if name not in OWN})
    return _train_and_test(folder, str(flags["save_model_name"]), flags)


def _chosen(folder: Path, given: Mapping[str, Any], parts: Split, weights: str, options: Any) -> list[Setting]:
    """The recommended settings that are not given; of a run that is resumed those that it had."""
    kept = folder / KEPT
    if given.get("resume") and kept.is_file():
        settings = kept_settings(kept)
    else:
        settings = recommend(situation_of(parts, weights, given, options.minutes))
        write_json(kept, {"settings": [vars(one) for one in settings]})
    return [one for one in settings if one.flag not in given]


def kept_settings(path: Path) -> list[Setting]:
    """Those of the run that is resumed. Raises UsageError for a damaged file."""
    flag = {"flag": str, "value": (str, int, float, bool, None), "reason": str}
    found = read_json(path, str(path), {"settings": [flag]}, remedy="remove it, and the settings are recommended anew")
    return [instance(Setting, entry) for entry in found["settings"]]


def print_settings(parts: Split, chosen: Sequence[Setting], given: Mapping[str, Any]) -> None:
    """The split, and each setting with its reason."""
    shown = ", ".join(parts.classes[:6]) + (f" and {len(parts.classes) - 6} more" if len(parts.classes) > 6 else "")
    print(f"{counted(len(parts.classes), 'class')}: {shown}")
    print(f"{counted(len(parts.train), 'video')} for training, {len(parts.test)} for the test")
    width = max(len(f"--{one.flag}={one.value}") for one in chosen) if chosen else 0
    for one in chosen:
        print(f"  {f'--{one.flag}={one.value}':<{width}}  {one.reason}")
    by_hand = [f"--{name}={value}" for name, value in given.items() if name not in ("data",)]
    if by_hand:
        print(f"  given: {' '.join(by_hand)}")
    sys.stdout.flush()


def _data_flags(folder: Path, parts: Split, weights: str) -> dict[str, Any]:
    """The lists and names, written into the folder, as flags of train_net."""
    write_list(folder / "train.csv", parts.train)
    write_list(folder / "test.csv", parts.test)
    with atomic_write(folder / "classes.txt") as stream:
        stream.write("".join(f"{name}\n" for name in parts.classes).encode("utf-8"))
    return {
        "train_data": str(folder / "train.csv"),
        "test_data": str(folder / "test.csv"),
        "label_names": str(folder / "classes.txt"),
        "num_labels": len(parts.classes),
        "load_model_path": weights,
        "is_checkpoint": 0,
        "file_store_path": str(folder),
        "save_model_name": NAME,
        "report": str(folder / "curves.html"),
        "output": str(folder / "training.json"),
    }


def _new_classifier(parts: Split, weights: str) -> dict[str, str]:
    """Another name for the classifier, where the weights have one of as many classes and of other ones."""
    known = read_description(weights)
    count = len(parts.classes)
    as_many = any(fact.flag == "num_labels" and fact.value == count for fact in known.facts)
    return {"pred_layer_name": f"own_L{count}"} if as_many and known.labels != parts.classes else {}


def _train_and_test(folder: Path, name: str, flags: Mapping[str, Any]) -> int:
    """Train, then evaluate the best epoch by the whole test; the exit status."""
    command = [f"--{flag}={value}" for flag, value in flags.items() if value is not None]
    print(f"vmz train-net {shlex.join(command)}", flush=True)
    started_as = sys.argv[0]
    sys.argv[0] = "vmz train-net"  # what a run on several GPUs starts
    try:
        status = train_net.work(command)
    finally:
        sys.argv[0] = started_as
    if status:
        return status
    best = folder / f"{name}_best.pkl"
    kept = ("engine", "device", "num_gpus", "gpus", "num_threads")
    test = {
        "load_model_path": best,
        "test_data": flags["test_data"],
        "clip_per_video": 10,
        "report": folder / "report.html",
        "output": folder / "results.json",
        **{flag: flags[flag] for flag in kept if flag in flags},
    }
    status = test_net.work([f"--{flag}={value}" for flag, value in test.items()])
    if not status:
        shown = os.path.relpath(best) if not os.path.isabs(folder) else str(best)
        print(f"the network: {shown}; its pages: {folder / 'report.html'}, {folder / 'curves.html'}")
        print(f"vmz predict VIDEO --load_model_path {shlex.quote(shown)}")
    return status


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
