"""Evaluate a network on an LMDB of videos by the published clip-to-video protocol."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import numpy as np

from vmz.files import atomic_write
from vmz.workflows import distributed
from vmz.workflows.command import Parser, run_tool
from vmz.workflows.evaluate import Evaluation, evaluate, score_arrays
from vmz.workflows.evaluation_report import check_outputs, write_report
from vmz.workflows.launch import launch
from vmz.workflows.options import (
    CHECKPOINT_FLAGS,
    ENGINE_FLAGS,
    MODEL_FLAGS,
    READER_FLAGS,
    REPORT_FLAGS,
    TEST_FLAGS,
    add_flags,
    add_zoo_flag,
    parse,
    switch,
)


def main(argv: Sequence[str]) -> int:
    parser = Parser(__doc__)
    add_zoo_flag(parser)
    add_flags(parser, "network", list(MODEL_FLAGS))
    add_flags(parser, "data", list(READER_FLAGS))
    add_flags(parser, "engine", list(ENGINE_FLAGS))
    add_flags(parser, "test", list(TEST_FLAGS))
    add_flags(parser, "weights (not in the original)", list(CHECKPOINT_FLAGS))
    add_flags(parser, "report (not in the original)", list(REPORT_FLAGS))
    ours = parser.add_argument_group("not in the original")
    ours.add_argument("--output", metavar="FILE", help="results as JSON")
    ours.add_argument("--save_scores", metavar="FILE", help="scores of every clip, label and video key, as .npz")
    ours.add_argument("--random_weights", type=switch, default=0, help="1: score an untrained network, no file needed")
    options = parse(parser, argv)
    check_outputs(options)
    status = launch(options, argv)
    if status is not None:
        return status
    evaluation = evaluate(options)
    if distributed.rank() == 0:
        write_files(evaluation)
        print_evaluation(evaluation)
    return 0


def write_files(evaluation: Evaluation) -> None:
    """--output, --save_scores and --report, each written whole or not at all."""
    if evaluation.options["save_scores"]:
        with atomic_write(evaluation.options["save_scores"]) as stream:
            np.savez_compressed(stream, **score_arrays(evaluation))  # type: ignore[arg-type]
    if evaluation.options["output"]:
        with atomic_write(evaluation.options["output"], "w") as stream:
            json.dump(evaluation.to_json(), stream, indent=1)
            stream.write("\n")
    if evaluation.options["report"]:
        write_report(evaluation)


def print_evaluation(evaluation: Evaluation) -> None:
    """Class by class when asked for, what was left out, then the original's two closing lines."""
    if evaluation.checkpoint is not None:
        print(f"{evaluation.options['load_model_path']}: {evaluation.checkpoint.summary()}")
    if evaluation.options["print_per_class_metrics"]:
        names = evaluation.label_names
        for entry in evaluation.per_class:
            name = f" {names[entry['label']]}" if names is not None else ""
            if "correct" in entry:
                share = entry["correct"] / entry["videos"]
                print(f"class {entry['label']}{name}: {entry['correct']} of {entry['videos']} videos, {share:.4f}")
            else:
                print(f"class {entry['label']}{name}: {entry['videos']} videos, AP {entry['average_precision']:.4f}")
    print(f"{evaluation.videos} videos, {evaluation.clips_per_video} clips each, {evaluation.seconds['run']:.1f} s")
    if evaluation.skipped:
        print(f"{len(evaluation.skipped)} videos left out:")
        for bad in evaluation.skipped:
            print(f"  {bad}")
    if evaluation.intervals:
        print(evaluation.named_lines())
    print(evaluation.closing_lines())


if __name__ == "__main__":
    sys.exit(run_tool(main))
