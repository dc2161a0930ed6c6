"""Train or fine-tune a network on videos: an LMDB, a list or a folder of class folders."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from vmz.cli.shared.launch import launch
from vmz.cli.shared.options import (
    add_config_flags,
    add_own,
    add_settings,
    config_of,
    parse,
    save_config,
    without_effect,
)
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.cli.shared.settings_report import announce
from vmz.datasets.listed_data import listed_data
from vmz.files import write_json
from vmz.outputs import Output, in_progress
from vmz.processes import identity
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.epoch_evaluation import EpochTestSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings
from vmz.settings.setting import settings_of
from vmz.training.checkpoints import Checkpoints
from vmz.training.config import AddedTrainSettings, OriginalTrainSettings, TrainConfig
from vmz.training.plan import text as plan_text
from vmz.training.run import dry_run, train

EXAMPLE = (
    "tools/train_net.py --train_data=train_lmdb --test_data=val_lmdb --num_labels=8 --file_store_path=. "
    "--save_model_name=run"
)


def train_parser(description: str) -> Parser:
    """The original's flags and ours."""
    parser = Parser(description, EXAMPLE)
    add_own(parser, "published model", TrainConfig, ("zoo",))
    add_settings(parser, "network", NetworkSettings)
    add_own(parser, "data", TrainConfig, tuple(settings_of(ReaderSettings)))
    add_settings(parser, "engine", EngineSettings)
    add_settings(parser, "training", OriginalTrainSettings)
    add_own(parser, "checkpoint", TrainConfig, tuple(settings_of(CheckpointSettings)))
    parser.add_former_name(
        "pretrained_model",
        "load_model_path",
        "weights to initialise the network with: the name that --load_model_path with --is_checkpoint=0 had before",
        is_checkpoint="0",
    )
    add_own(parser, "names", TrainConfig, ("label_names",))
    add_settings(parser, "not in the original", AddedTrainSettings, EpochTestSettings)
    parser.add_argument("--dry_run", action="store_true", help="print the plan and stop; needs no data")
    add_own(parser, "result", TrainConfig, ("output",))
    add_config_flags(parser)
    return parser


def configuration(argv: Sequence[str]) -> TrainConfig:
    """What the tool makes of its flags."""
    return config_of(TrainConfig, parse(train_parser(""), argv, TrainConfig.use))


def work(argv: Sequence[str]) -> int:
    parser = train_parser(str(__doc__))
    options = parse(parser, argv, TrainConfig.use)
    config = config_of(TrainConfig, options)
    if identity.rank() == 0:
        for line in without_effect(parser.given(argv), config.engine, bool(config.g_blend)):
            print(line, file=sys.stderr)
    output = Output("--output", config.output)
    if options.dry_run:
        with in_progress(output, options=options), listed_data(config) as config:
            announce(config.resolution)
            save_config(options, config)
            plan = dry_run(config)
            print(plan_text(plan), flush=True)
            return written(config.output, plan)
    # Caffe2 trains on several GPUs in one process.
    status = launch(config, argv) if config.engine == "pytorch" else None
    if status is not None:
        return status
    store = Checkpoints(config.file_store_path, config.save_model_name)
    if any(path and Path(path).parent == store.folder for path in (config.output, config.report)):
        store.prepare()  # the training makes this folder anyway
    with in_progress(output, Output("--report", config.report), options=options), listed_data(config) as config:
        announce(config.resolution)
        save_config(options, config)
        result = train(config)
        if not result.is_first:
            return 0
        print("\n".join(result.lines()), flush=True)
        for line in result.not_written:
            print(f"error: {line}", file=sys.stderr)
        return max(bool(result.not_written), written(config.output, result.to_json()))


def written(path: Optional[str], result: Mapping[str, Any]) -> int:
    """Write --output where it is asked for; the exit status."""
    return write_each(lambda: write_json(path, result)) if path else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv, several=True)


if __name__ == "__main__":
    sys.exit(main())
