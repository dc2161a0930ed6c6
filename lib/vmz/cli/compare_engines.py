"""Run real Caffe2 and PyTorch on the same NetDef, weights and clips, and hold every blob of one against the other."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.shared.options import add_own, add_settings, config_of, parse
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool, write_each
from vmz.cli.shared.settings_report import announce
from vmz.datasets.listed_data import listed_data
from vmz.engines.precisions import FP32
from vmz.evaluation.network import check_fits, load_weights
from vmz.evaluation.records import check_labels
from vmz.features.config import ExtractionConfig
from vmz.files import write_json
from vmz.inspection.compare_engines import Job, blobs_to_compare, compare
from vmz.models.registry import Model, build
from vmz.outputs import Output, in_progress
from vmz.report.comparison import page
from vmz.report.page import write
from vmz.results.comparison import Comparison
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.clips import ClipSettings
from vmz.settings.engine import EngineSettings
from vmz.settings.inference import InferenceSettings
from vmz.settings.kinds import Integer, Number
from vmz.settings.network import NetworkSettings, model_config
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.video.faults import EndedEarly, WithoutSound
from vmz.video.reader import Batch, ClipReader


def work(argv: Sequence[str]) -> int:
    parser = Parser(str(__doc__), "tools/compare_engines.py --model_name=r3d --model_depth=18 --clip_length_rgb=8")
    add_own(parser, "published model", ExtractionConfig, ("zoo", "protocol"))
    add_settings(parser, "network", NetworkSettings)
    add_settings(parser, "clips, of --test_data", ReaderSettings, ViewSettings, batch_size=1, clip_per_video=1)
    add_settings(parser, "weights", CheckpointSettings)
    add_own(parser, "random clips and weights", EngineSettings, ("seed",))
    add_own(parser, "PyTorch's half", InferenceSettings, ("precision",))
    parser.add_argument("--clips", type=Integer(1, 1024), default=1, help="random clips, when there is no --test_data")
    parser.add_argument("--tolerance", type=Number(0), default=1e-4, help="of a blob's largest value")
    parser.add_argument("--caffe2_python", type=Path, metavar="FILE", help="a Python with Caffe2, if this one has none")
    parser.add_argument("--output", metavar="FILE", help="every blob's differences as JSON")
    parser.add_argument("--html", metavar="FILE", help="a picture of them")
    options = parse(parser, argv, ExtractionConfig.use)
    announce(options.resolution)
    with in_progress(Output("--output", options.output), Output("--html", options.html), options=options):
        return run(options)


def run(options: argparse.Namespace) -> int:
    clips = config_of(ClipSettings, options)
    model = build(model_config(clips, batch_size=-1), use_cudnn=bool(clips.use_cudnn))
    check_fits(model)
    job, faults = make_job(model, options, clips)
    half = "" if options.precision == FP32 else f", PyTorch in {options.precision}"
    name = f"{options.model_name} depth {options.model_depth}{half}"
    found = compare(job, options.tolerance, name, options.caffe2_python, *faults)
    print("\n".join(found.lines()), flush=True)
    return max(int(found.first_beyond() is not None), write_files(found, options))


class Faults(NamedTuple):
    """Videos of the clips whose reading stopped early, and whose log-mels are zeros."""

    ended_early: Sequence[EndedEarly] = ()
    without_sound: Sequence[WithoutSound] = ()


def make_job(model: Model, options: argparse.Namespace, clips: ClipSettings) -> tuple[Job, Faults]:
    """Weights of the checkpoint or from the seed, clips of the database or random; what is reported of the videos."""
    wanted = [*model.params, *model.computed_params]
    if options.load_model_path:
        weights, _ = load_weights(model, config_of(CheckpointSettings, options))
        assert weights is not None
    else:
        weights = seeded_weights(wanted, options.seed)
    if clips.test_data:
        batch, faults = read_batch(clips)
        inputs, label = model.inputs_of((batch.data, batch.flow, batch.logmels)), batch.label
    else:
        faults, random = Faults(), np.random.RandomState(options.seed)
        inputs = {
            blob: random.randn(*shape).astype(np.float32) for blob, shape in model.input_shapes(options.clips).items()
        }
        shape = (options.clips, clips.num_labels) if clips.multi_label else (options.clips,)
        label = random.randint(0, 2 if clips.multi_label else clips.num_labels, shape).astype(np.int32)
    inputs[model.blob("label")] = label
    blobs = blobs_to_compare(model.net)
    return Job(model.param_init_net, model.net, weights, inputs, blobs, options.seed, options.precision), faults


def read_batch(clips: ClipSettings) -> tuple[Batch, Faults]:
    """The first batch of --test_data, and what is reported of its videos."""
    with listed_data(clips, own_classes=True) as clips:
        with ClipReader(clips.database, clips.reader_args()) as reader:
            batch = reader.next_batch()
            faults = Faults(reader.ended_early, reader.without_sound)
        if not clips.multi_label:
            check_labels(batch.label[:: len(batch.label) // len(batch.keys)], batch.keys, clips)
    return batch, faults


def write_files(found: Comparison, options: argparse.Namespace) -> int:
    """--output and --html, each whatever becomes of the other; the exit status."""
    writes = [
        (options.output, lambda path: write_json(path, found.to_json())),
        (options.html, lambda path: write(path, page(found))),
    ]
    return write_each(*(partial(one, path) for path, one in writes if path))


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
