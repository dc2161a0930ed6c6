"""Evaluate a network on videos (an LMDB, a list, a folder of class folders) by the published protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from vmz.cli.shared.launch import launch
from vmz.cli.shared.options import add_config_flags, add_own, add_settings, config_of, parse, save_config
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.cli.shared.settings_report import announce
from vmz.datasets.listed_data import listed_data
from vmz.engines.registry import check_engine
from vmz.evaluation.config import EvaluationConfig, ReportSettings, TestSettings
from vmz.evaluation.page import OUTPUTS, outputs_of, write_report
from vmz.evaluation.run import evaluate
from vmz.evaluation.scores import score_arrays
from vmz.files import atomic_write, check_outputs, write_json
from vmz.outputs import in_progress
from vmz.processes import identity
from vmz.results.evaluation import Evaluation
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.inference import InferenceSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.video.database.fingerprint import refuse_remade
from vmz.video.database.lmdb_database import VideoDatabase


def evaluation_parser(description: str, example: str = "", **defaults: Any) -> Parser:
    """The parser of an evaluation; `defaults` are those that a tool has of its own."""
    parser = Parser(description, example)
    add_own(parser, "published model", EvaluationConfig, ("zoo", "protocol"))
    add_settings(parser, "network", NetworkSettings, **defaults)
    add_settings(parser, "data", ReaderSettings, ViewSettings, **defaults)
    add_settings(parser, "engine", InferenceSettings, **defaults)
    add_settings(parser, "test", TestSettings, **defaults)
    add_settings(parser, "weights", CheckpointSettings, **defaults)
    add_settings(parser, "report (not in the original)", ReportSettings, **defaults)
    add_own(parser, "not in the original", EvaluationConfig, ("output", "save_scores", "random_weights"))
    add_config_flags(parser)
    return parser


def configuration(argv: Sequence[str]) -> EvaluationConfig:
    """What the tool makes of its flags."""
    return config_of(EvaluationConfig, parse(evaluation_parser(""), argv, EvaluationConfig.use))


def run_evaluation(parser: Parser, argv: Sequence[str]) -> int:
    """Parse, evaluate (in several processes where the flags say so), write and print; the exit status."""
    options = parse(parser, argv, EvaluationConfig.use, fetch=True)
    config = config_of(EvaluationConfig, options)
    check_engine(config.engine)
    check_outputs(options, (*OUTPUTS, "save_config"))
    status = launch(config, argv)
    if status is not None:
        return status
    with in_progress(*outputs_of(config), options=options), listed_data(config) as config:
        announce(config.resolution)
        save_config(options, config)
        evaluation = evaluate(config)
        if identity.rank():
            return 0
        print("\n".join(evaluation.lines()), flush=True)
        return write_files(evaluation, config)


def write_files(evaluation: Evaluation, config: EvaluationConfig) -> int:
    """--save_scores, --output and --report, each whole or not at all and whatever becomes of the others; the status."""
    writes = {
        "save_scores": lambda: _save_scores(evaluation, config),
        "output": lambda: write_json(str(config.output), evaluation.to_json()),
        "report": lambda: write_report(evaluation, config),
    }
    return write_each(*(write for flag, write in writes.items() if getattr(config, flag)))


def _save_scores(evaluation: Evaluation, config: EvaluationConfig) -> None:
    with VideoDatabase(config.database) as database:
        paths = database.paths(evaluation.scores.keys, bool(config.local_files))
    refuse_remade(config.database, evaluation.database)
    arrays = score_arrays(evaluation.scores, config, paths)
    if evaluation.label_names is not None:
        arrays["label_names"] = np.array(evaluation.label_names)
    arrays["made_by"] = np.array(json.dumps(evaluation.made_by))
    with atomic_write(str(config.save_scores)) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def work(argv: Sequence[str]) -> int:
    example = "tools/test_net.py --test_data=val_lmdb --load_model_path=model.pkl --output=results.json"
    return run_evaluation(evaluation_parser(str(__doc__), example), argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv, several=True)


if __name__ == "__main__":
    sys.exit(main())
