"""What test_net and test_net_large do alike, which is everything but a default or two: flags, files, printed lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from vmz.cli.command import Parser, write_each
from vmz.cli.flag_kinds import switch
from vmz.cli.flags import CHECKPOINT_FLAGS, ENGINE_FLAGS, MODEL_FLAGS, READER_FLAGS, REPORT_FLAGS, TEST_FLAGS
from vmz.cli.launch import launch
from vmz.cli.options import add_flags, add_zoo_flag, parse
from vmz.cli.settings import TESTING
from vmz.cli.settings_report import announce
from vmz.engines.registry import check_engine
from vmz.evaluation.page import OUTPUTS, outputs_of, write_report
from vmz.evaluation.run import Evaluation, evaluate
from vmz.evaluation.scores import class_lines, score_arrays
from vmz.files import atomic_write, check_outputs, write_json
from vmz.outputs import in_progress
from vmz.processes import group
from vmz.video.database import VideoDatabase
from vmz.video.faults import closing_line
from vmz.video.fingerprint import refuse_remade

SCORED_FROM = "scored from the frames before"


def evaluation_parser(description: str, **defaults: Any) -> Parser:
    """The parser of an evaluation; `defaults` are those that a tool has of its own."""
    parser = Parser(description)
    add_zoo_flag(parser, TESTING)
    add_flags(parser, "network", list(MODEL_FLAGS), **defaults)
    add_flags(parser, "data", list(READER_FLAGS), **defaults)
    add_flags(parser, "engine", list(ENGINE_FLAGS), **defaults)
    add_flags(parser, "test", list(TEST_FLAGS), **defaults)
    add_flags(parser, "weights (not in the original)", list(CHECKPOINT_FLAGS))
    add_flags(parser, "report (not in the original)", list(REPORT_FLAGS))
    ours = parser.add_argument_group("not in the original")
    ours.add_argument("--output", metavar="FILE", help="results as JSON")
    ours.add_argument(
        "--save_scores",
        metavar="FILE",
        help="scores of every clip, label, video key and path, as .npz; tools/aggregate_scores.py reads it",
    )
    ours.add_argument("--random_weights", type=switch, default=0, help="1: score an untrained network, no file needed")
    return parser


def run_evaluation(parser: Parser, argv: Sequence[str]) -> int:
    """Parse, evaluate (in several processes where the flags say so), write and print; the exit status."""
    options = parse(parser, argv)
    check_engine(options.engine)
    check_outputs(options, OUTPUTS)
    status = launch(options, argv)
    if status is not None:
        return status
    announce(options)
    with in_progress(*outputs_of(options), options=options):
        evaluation = evaluate(options)
        if group.rank():
            return 0
        print_evaluation(evaluation)
        sys.stdout.flush()
        return write_files(evaluation)


def write_files(evaluation: Evaluation) -> int:
    """--save_scores, --output and --report, each whole or not at all and whatever becomes of the others; the status."""
    options = evaluation.options
    writes = {
        "save_scores": lambda: _save_scores(evaluation),
        "output": lambda: write_json(options["output"], evaluation.to_json()),
        "report": lambda: write_report(evaluation),
    }
    return write_each(*(write for flag, write in writes.items() if options[flag]))


def _save_scores(evaluation: Evaluation) -> None:
    options = evaluation.options
    with VideoDatabase(options["test_data"]) as database:
        paths = database.paths(evaluation.scores.keys, bool(options["use_local_file"]))
    refuse_remade(options["test_data"], evaluation.database)
    arrays = score_arrays(evaluation.scores, options, paths)
    if evaluation.label_names is not None:
        arrays["label_names"] = np.array(evaluation.label_names)
    arrays["made_by"] = np.array(json.dumps(evaluation.made_by))
    with atomic_write(options["save_scores"]) as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def print_evaluation(evaluation: Evaluation) -> None:
    """Class by class when asked for, what was left out, then the original's two closing lines."""
    if evaluation.checkpoint is not None:
        print(f"{evaluation.options['load_model_path']}: {evaluation.checkpoint.summary()}")
    if evaluation.options["print_per_class_metrics"]:
        print("\n".join(class_lines(evaluation.per_class, evaluation.label_names)))
    spent = f"{evaluation.seconds['run']:.1f} s on {evaluation.environment['engine']}"
    print(f"{evaluation.videos} videos, {evaluation.clips_per_video} clips each, {spent}")
    if evaluation.skipped:
        print(f"{len(evaluation.skipped)} videos left out:")
        for bad in evaluation.skipped:
            print(f"  {bad}")
    if evaluation.ended_early:
        print(closing_line(evaluation.ended_early, SCORED_FROM, "--output lists them all"))
    if evaluation.intervals:
        print(evaluation.named_lines())
    print(evaluation.closing_lines())
