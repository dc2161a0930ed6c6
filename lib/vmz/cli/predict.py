"""Predict the classes of videos: from the name of a published model, or a file of weights, and video files."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Sequence
from typing import Optional

from vmz.cli.shared.options import add_own, config_of, parse, save_config
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.cli.shared.scoring_flags import add_scoring_flags
from vmz.cli.shared.settings_report import announce
from vmz.engines.registry import check_engine
from vmz.errors import UsageError
from vmz.files import atomic_write, check_outputs, write_json
from vmz.outputs import Output, in_progress
from vmz.prediction.config import PredictionConfig
from vmz.prediction.page import write_report
from vmz.prediction.run import Predictions, predict
from vmz.settings.setting import settings_of
from vmz.text import counted

EXAMPLE = "vmz predict video.mp4 --zoo=r2plus1d_34_clip8_ft_kinetics_from_ig65m --report=page.html"
OUTPUTS = ("output", "csv", "report")
# Settings of a database, which there is none of here, and of batches: a video is scored at a time.
_NOT_HERE = {"test_data", "use_local_file", "image_as_input", "batch_size"}


def prediction_parser() -> Parser:
    parser = Parser(str(__doc__), EXAMPLE)
    videos = settings_of(PredictionConfig)["videos"]
    parser.settings["videos"] = videos
    parser.add_argument("videos", nargs="*", metavar="VIDEO", help=videos.help)
    add_own(parser, "model", PredictionConfig, ("zoo", "load_model_path", "protocol", "label_names"))
    add_own(parser, "prediction", PredictionConfig, ("top_k", "views", "stride_seconds", "aggregation"))
    outputs = ("output", "csv", "report", "annotate", "attention", "attention_blob")
    add_own(parser, "results", PredictionConfig, outputs)
    add_scoring_flags(parser, PredictionConfig, _NOT_HERE)
    return parser


def configuration(argv: Sequence[str]) -> PredictionConfig:
    """What the command makes of its arguments."""
    return config_of(PredictionConfig, parse(prediction_parser(), argv, PredictionConfig.use))


def work(argv: Sequence[str]) -> int:
    parser = prediction_parser()
    options = parse(parser, argv, PredictionConfig.use, fetch=True)
    if not options.videos:
        raise UsageError(f"no video is given; name files or a folder, as in: {EXAMPLE}")
    config = config_of(PredictionConfig, options)
    check_engine(config.engine)
    check_outputs(options, (*OUTPUTS, "save_config"))
    announce(config.resolution)
    with in_progress(*[Output(f"--{flag}", getattr(config, flag)) for flag in OUTPUTS], options=options):
        save_config(options, config)
        found = predict(config)
        print_predictions(found)
        sys.stdout.flush()
        return write_files(found)


def print_predictions(found: Predictions) -> None:
    """The top classes of each video, and what was left out."""
    for prediction in found.videos:
        ended = f" (decoding ended early: {prediction.ended_by})" if prediction.ended_by else ""
        silent = f" (without sound, log-mels are zeros: {prediction.without_sound})" if prediction.without_sound else ""
        print(f"{prediction.video}{ended}{silent}")
        print(prediction.lines())
    if found.skipped:
        print(f"{counted(len(found.skipped), 'video')} left out:")
        for one in found.skipped:
            print(f"  {one.video}: {one.reason}")
    print(
        f"{counted(len(found.videos), 'video')}, {found.seconds['run']:.1f} s on {found.environment['engine']}, "
        f"{found.environment['device']}; {found.model}"
    )


def write_files(found: Predictions) -> int:
    """--output, --csv and --report, each whole or not at all and whatever becomes of the others; the status."""
    config = found.config
    writes = {
        "output": lambda: write_json(str(config.output), found.to_json()),
        "csv": lambda: _write_csv(found),
        "report": lambda: write_report(found),
    }
    return write_each(*[write for flag, write in writes.items() if getattr(config, flag)])


def _write_csv(found: Predictions) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["video", "rank", "label", "class", "score"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found.rows())
    with atomic_write(str(found.config.csv)) as stream:
        stream.write(text.getvalue().encode("utf-8"))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
