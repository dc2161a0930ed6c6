"""Programs and builders in the manner of the original's first release, on VMZ's `models` and `utils`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.engines.real_caffe2 import needs_caffe2, needs_operators
from tests.goldens.e2e import run_tool
from tests.legacy.original import cnn_model, device, nets
from tests.legacy.running import PROGRAMS, ended, legacy, plain_database, reports
from tests.support.motion import write_motion_database
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build

pytestmark = needs_caffe2
SCORE = PROGRAMS / "first_release" / "tools" / "score.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """test_db: 8 videos of 8 classes. twin_db: 8 times one. r2d.pkl: as wide as all networks of the first release."""
    found = tmp_path_factory.mktemp("first_release")
    write_motion_database(found / "test_db")
    plain_database(found / "twin", [3] * 8).rename(found / "twin_db")
    model = build(ModelConfig("r2d", 10, 8, clip_length=2))
    save_pickle(found / "r2d.pkl", seeded_weights([*model.params, *model.computed_params]))
    return found


@needs_operators
@pytest.mark.parametrize(
    ("python2", "data", "flags"),
    [
        ([], "test_db", ["--gpus=0"]),
        (["--py2"], "test_db", ["--gpus=0"]),
        # which device reads what is a race: all records are one
        pytest.param([], "twin_db", ["--gpus=0,1", "--all_gpus=1"], marks=pytest.mark.slow),
    ],
)
def test_a_program_scores_as_ours_does(folder: Path, python2: list[str], data: str, flags: list[str]) -> None:
    common = [f"--test_data={folder / data}", f"--load_model_path={folder / 'r2d.pkl'}", "--model_name=r2d"]
    common.append("--clip_length_rgb=2")
    ran = legacy(*python2, SCORE, *common, *flags)
    ended(ran)
    network = ["--model_depth=10", "--num_labels=8", "--clip_per_video=1", "--batch_size=2"]
    ours = ended(run_tool("test_net.py", *common, *network, "--engine=caffe2", "--num_gpus=0"))
    [accuracy] = re.findall(r"top 1: .*, top5: .*", ran.stderr)
    assert accuracy in ours and "videos 8," in ran.stderr
    [costs] = re.findall(r"FLOPs: .*, params: \S*", ran.stderr)
    assert f"{costs}, inters" in ours
    assert {"first-release", "imports", "gpu"} <= set(reports(ran))


@needs_operators
def test_it_fails_without_the_mend(folder: Path) -> None:
    ran = legacy("--without=first-release", SCORE, f"--test_data={folder / 'test_db'}")
    assert ran.returncode == 1
    assert "module 'models.model_builder' has no attribute 'create_data_reader'" in ran.stderr


@needs_operators
def test_a_network_that_has_changed_is_refused(folder: Path) -> None:
    ran = legacy(SCORE, f"--test_data={folder / 'test_db'}", "--model_depth=26")
    assert ran.returncode == 1
    assert "networks of 26 layers differed from today's" in ran.stderr


CREATED = """
from caffe2.python import cnn
from models import r3d_model

def made(name, **given):
    model = cnn.CNNModelHelper(order="NCHW", name="net")
    out = getattr(r3d_model, name)(model, "data", 3, 8, is_test=True, no_bias=True, model_depth=10, **given)
    return out, [(op.type, list(op.output)) for op in model.net.Proto().op]

old, new = made("create_r3d", no_loss=True, is_decomposed=True), made("create_r3d", block_type="2.5d")
print(old[1] == new[1], len(old[1]) > 20)
print(made("create_mcx", no_loss=False)[0], made("create_mcx", no_loss=True)[0])
print([str(blob) for blob in made("create_r2df", no_loss=False, label="label")[0]])
"""


def test_creators_have_their_old_arguments(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(CREATED)
    ran = legacy(tmp_path / "program.py")
    assert ended(ran).splitlines()[-3:] == ["True True", "softmax last_out_L8", "['softmax', 'loss']"]
    assert reports(ran).count("first-release") == 1


def built(module: Any, add: Any) -> Any:
    model = cnn_model("blocks")
    with device():
        add(module.VideoModelBuilder(model, "data", no_bias=True, is_test=False))
    return nets(model)


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (
            lambda builder: builder.add_simple_block(4, 8, down_sampling=True, is_decomposed=True),
            lambda builder: builder.add_simple_block(4, 8, down_sampling=True, block_type="2.5d"),
        ),
        (
            lambda builder: builder.add_simple_block(4, 4, down_sampling=True, only_spatial_downsampling=True),
            lambda builder: builder.add_simple_block(4, 4, down_sampling=True, down_sampling_temporal=False),
        ),
        (
            lambda builder: builder.add_bottleneck(4, 2, 16, True, is_real_3d=False),
            lambda builder: builder.add_bottleneck(4, 16, 2, True, is_real_3d=False),
        ),
        (
            lambda builder: builder.add_conv(4, 8, [3, 3, 3], pads=[1, 1, 1], is_decomposed=True),
            lambda builder: builder.add_conv(4, 8, [3, 3, 3], pads=[1, 1, 1], block_type="2.5d"),
        ),
    ],
)
def test_the_builder_of_then(then: Any, now: Any) -> None:
    from models import video_model
    from models.builder import video_model as builder

    assert built(video_model, then) == built(builder, now)
