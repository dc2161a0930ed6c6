"""--fps: what tools make of it, on both engines."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.in_process import tool
from tests.support.listed_videos import SameVideos, same_videos
from vmz.checkpoints.loading import load
from vmz.errors import UsageError

NETWORK = (
    "--model_name=r2d", "--model_depth=10", "--channel_multiplier=0.05", "--clip_length_rgb=4", "--num_gpus=0",
    "--num_decode_threads=1", "--scale_h=112", "--scale_w=120", "--video_res_type=0",
)  # fmt: skip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> SameVideos:
    return same_videos(tmp_path_factory.mktemp("same"))  # of 9 frames, 25 a second


@pytest.mark.parametrize("engine", ENGINES)
def test_a_checkpoint_keeps_the_rate_and_a_test_takes_it_over(
    engine: str, videos: SameVideos, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so, in what it prints, in results.json and on the page; its clips are those of the rate."""
    train, test, dump = tool("train_net.py"), tool("test_net.py"), tool("dump_clips.py")
    flags = [*NETWORK, "--batch_size=2", "--epoch_size=0", "--num_epochs=1", "--base_learning_rate=0.01", "--fps=12"]
    flags += [f"--train_data={videos.list}", f"--file_store_path={tmp_path}", "--save_model_name=run"]
    assert train([*flags, f"--engine={engine}"]) == 0
    weights = tmp_path / "run_1.pkl"
    assert load(weights).about["protocol"]["fps"] == 12

    output, page = tmp_path / "out.json", tmp_path / "page.html"
    again = [f"--load_model_path={weights}", f"--test_data={videos.list}", "--num_gpus=0", f"--engine={engine}"]
    capsys.readouterr()
    assert test([*again, f"--output={output}", f"--report={page}"]) == 0
    assert " fps=12" in capsys.readouterr().out.partition("settings from the training of run_1.pkl:")[2].split("\n")[0]
    result = json.loads(output.read_text())
    assert result["options"]["fps"] == 12 and result["settings"]["sources"]["fps"]["source"] == "checkpoint"
    assert "Videos are resampled to 12 frames per second; the original takes every frame." in page.read_text()
    assert test([*again, "--fps=0"]) == 0
    assert "--fps=0 instead of 12" in capsys.readouterr().err

    found = {}
    for fps in (0, 12, 25):
        reader = [flag for flag in NETWORK if flag.startswith(("--scale", "--clip", "--video_res", "--num_decode"))]
        clips = tmp_path / f"{fps}.npz"
        own = [f"--test_data={videos.folder}", "--clip_per_video=1", "--num_batches=0", f"--output={clips}"]
        assert dump([*reader, *own, f"--fps={fps}", f"--engine={engine}"]) == 0
        with np.load(clips) as arrays:
            found[fps] = arrays["data"]
    assert np.array_equal(found[0], found[25])
    # 12 a second: frames 0 (0 s), 2 (0.083), 4 (0.167), 6 (0.25) of 25 a second
    assert np.array_equal(found[12][:, :, 1], found[0][:, :, 2]) and found[12].shape == (6, 3, 4, 112, 112)


def test_what_does_not_go_with_it_is_refused(videos: SameVideos) -> None:
    flags = [*NETWORK, f"--test_data={videos.list}", "--random_weights=1", "--check_data=0"]
    for more, says in (
        ("--original_start_faults=1", "original_start_faults=1"),
        ("--image_as_input=1", "image_as_inpu"),
    ):
        with pytest.raises(UsageError, match=f"fps=5 does not go with {says}"):
            tool("test_net.py")([*flags, "--fps=5", more])
    with pytest.raises(UsageError, match="--fps: 241 is more than 240, the most that is taken"):
        tool("test_net.py")([*flags, "--fps=241"])
