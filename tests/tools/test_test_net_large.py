"""test_net_large.py as a user runs it: the golden job, and slices of every size against the batch as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.test_options import TRAPS
from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import flags, load_job, run_tool, write_database
from tests.goldens.recordings import SHARED, golden_path, needs_shared
from tests.support.generated_weights import generated_weights
from tests.support.optionals import present
from tests.support.small_videos import database
from tests.tools.test_test_net import check_job
from vmz.cli.test_net import configuration, evaluation_parser
from vmz.engines.net_reader import open_reader
from vmz.engines.registry import open_engine
from vmz.evaluation.network import evaluation_model
from vmz.evaluation.run import evaluate_weights
from vmz.netdef.pruning import prune
from vmz.video.arguments import VideoInputArgs
from vmz.video.frames.scaling import MEAN, STD

TOLERANCE = {"pytorch": 1e-5, "caffe2": 2e-6}


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "changes",
    [
        {},  # crop by crop, as it was recorded
        {"crop_per_inference": 5, "batch_size": 2},  # slices of 5, 5 and 2 of two videos' crops
        {"crop_per_inference": 0},
    ],
    ids=["recorded", "short_slice", "whole"],
)
def test_golden_job(changes: dict[str, int], engine: str, tmp_path: Path) -> None:
    check_job("large_ipcsn50_conv256_3crop", tmp_path, engine, **changes)


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_columns_that_the_original_left_unwritten(engine: str, tmp_path: Path) -> None:
    """The right-hand crops of a video 340 wide end in 4 such columns: black in the original's second clip, row 5."""
    job = load_job("large_ipcsn50_conv256_3crop")
    data = write_database(tmp_path / "db", job["videos"], job["labels"])
    options = configuration([*flags(job, test_data=data), "--crop_per_inference=1"])
    model = evaluation_model(options)
    with open_reader(str(data), VideoInputArgs.from_mapping(options.reader_arguments()), engine) as reader:
        clip = present(reader.next_batch().data)[5:6]
    clip[..., -(340 % 8) :] = (-MEAN / STD)[None, :, None, None, None]
    with open_engine(engine) as opened:
        weights = generated_weights([*model.params, *model.computed_params])
        prediction = prune(model.net, ["gpu_0/data"], ["gpu_0/softmax"])
        opened.load(model.param_init_net, prediction, weights, keep=["softmax"])
        opened.feed("data", clip)
        opened.run()
        golden = np.load(golden_path("e2e/large_ipcsn50_conv256_3crop.npz"))["softmax"][5]
        assert np.abs(opened.fetch("softmax")[0] - golden).max() <= 2e-8


@needs_shared
def test_it_has_every_flag_of_the_original_with_its_default() -> None:
    tools = json.loads((SHARED / "spec" / "flags.json").read_text())["tools"]
    options = vars(evaluation_parser("", batch_size=1, crop_per_inference=1).parse_args([]))
    for flag in tools["test_net_large"]["flags"]:
        name = flag["flag"].lstrip("-")
        assert name in options, name
        if name not in TRAPS:
            assert options[name] == flag["default"], name


SMALL = [
    "--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--clip_length_rgb=4",
    "--num_decode_threads=1", "--random_weights=1", "--top_k=2", "--num_gpus=0", "--video_res_type=1",
]  # fmt: skip


def check_slices(data: Path, engine: str, sizes: list[int], *arguments: str) -> None:
    """Slices give what the batch gives; 3 videos in batches of 2 leave a short one."""
    flags = [*SMALL, f"--test_data={data}", f"--engine={engine}", "--batch_size=2", *arguments]
    flags.append("--save_scores=kept")
    model = evaluation_model(configuration(flags))
    weights = generated_weights([*model.params, *model.computed_params])
    whole = evaluate_weights(configuration(flags), weights)
    assert np.ptp(np.stack(whole.scores.clips), axis=0).max() > 1e-3  # clips differ, so a wrong order would show
    for size in sizes:
        sliced = evaluate_weights(configuration([*flags, f"--crop_per_inference={size}"]), weights)
        assert sliced.scores.keys == whole.scores.keys and sliced.figures == whole.figures
        assert sliced.totals == whole.totals
        assert np.array_equal(np.stack(sliced.scores.labels), np.stack(whole.scores.labels))
        difference = np.abs(np.stack(sliced.scores.clips) - np.stack(whole.scores.clips))
        assert difference.max() <= TOLERANCE[engine]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("multi_label", [0, 1])
def test_slices_change_nothing(multi_label: int, engine: str, tmp_path: Path) -> None:
    head = ["--crop_size=128", "--scale_h=128", "--scale_w=171", "--use_convolutional_pred=1"]
    crops = ["--clip_per_video=2", "--crop_per_clip=3", f"--multi_label={multi_label}"]
    check_slices(database(tmp_path, 3), engine, [5, 100], *head, *crops)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("crop", "pool"), [(128, 0), (256, 1), (320, 1)])
def test_thirty_crops_of_every_size(crop: int, pool: int, engine: str, tmp_path: Path) -> None:
    head = [f"--crop_size={crop}", f"--scale_h={crop}", f"--scale_w={crop * 4 // 3}", "--use_convolutional_pred=1"]
    views = ["--clip_per_video=10", "--crop_per_clip=3", f"--use_pool1={pool}", "--aggregation=1"]
    check_slices(database(tmp_path, 3), engine, [7], *head, *views)


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_bad_videos_are_left_out_of_slices_too(engine: str, tmp_path: Path) -> None:
    data = database(tmp_path, 4, 1)
    arguments = [*SMALL, f"--test_data={data}", "--clip_per_video=2", f"--engine={engine}"]
    stopped = run_tool("test_net_large.py", *arguments)
    assert stopped.returncode == 1 and "record 01" in stopped.stderr.splitlines()[-1]
    skipped = run_tool("test_net_large.py", *arguments, "--on_bad_video=skip", f"--output={tmp_path / 'results.json'}")
    assert skipped.returncode == 0, skipped.stderr
    result = json.loads((tmp_path / "results.json").read_text())
    assert result["videos"] == 3 and [bad["key"] for bad in result["skipped"]] == ["01"]
    assert result["seconds"]["read"] > 0 and result["seconds"]["net"] > 0


def test_a_negative_slice_is_refused() -> None:
    answer = run_tool("test_net_large.py", "--test_data=x", "--crop_per_inference=-1")
    assert answer.returncode == 2 and "crop_per_inference" in answer.stderr and len(answer.stderr.splitlines()) == 1
