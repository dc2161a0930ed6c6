"""vmz convert: what it says, what it writes, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.layouts.test_conversion import random_weights
from vmz.checkpoints.loading import load, save
from vmz.checkpoints.mdl import save_mdl
from vmz.cli.convert import main


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    save(tmp_path / "r3d.pkl", random_weights("r3d", 18), about={"labels": ["a", "b"]})
    return tmp_path / "r3d.pkl"


def test_there_and_back(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs, back = ours.with_suffix(".pth"), ours.with_name("back.mdl")
    assert main([str(ours), "--to=torchvision", f"--output={theirs}"]) == 0
    said = capsys.readouterr().out
    assert said == (
        f"{theirs}: r3d-18, 102 tensors in the layout of torchvision; set eps of the module's batch norms to 0.001\n"
    )
    assert main([str(theirs)]) == 0
    assert capsys.readouterr().out == f"{theirs}: r3d-18, 102 tensors in the layout of vmz; layout of torchvision\n"
    assert main([str(theirs), f"--output={back}"]) == 0
    found, wanted = load(back), load(ours)
    assert found.about == wanted.about
    for name, array in wanted.blobs.items():
        np.testing.assert_array_equal(found.blobs[name], array)
    assert main([str(theirs), "--to=original-pytorch"]) == 2
    assert "r3d-18, which the VideoResNet of the original's PyTorch part" in capsys.readouterr().err


def test_another_epsilon(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = ours.with_suffix(".pth")
    assert main([str(ours), "--to=torchvision", "--to_eps=1e-5", f"--output={theirs}"]) == 0
    assert "the scales are for batch norms of eps 1e-05" in capsys.readouterr().out
    assert main([str(theirs), f"--output={ours.with_name('b.pkl')}"]) == 0
    assert "scales changed from batch norms of eps 1e-05 to 0.001" in capsys.readouterr().out
    assert main([str(ours), "--eps=1e-5"]) == 2 and "--eps is for another library's" in capsys.readouterr().err
    assert (
        main([str(ours), "--to_eps=1e-5"]) == 2
        and "--to_eps=1e-05 is for modules of other libraries" in capsys.readouterr().err
    )
    assert main([str(theirs), "--eps=0"]) == 2


def test_formats_of_our_own(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = {**load(ours).blobs, "conv1_w_momentum": load(ours).blobs["conv1_w"]}
    save_mdl(ours.with_suffix(".mdl"), state)
    assert main([str(ours.with_suffix(".mdl")), f"--output={ours.with_name('c.pth')}"]) == 0
    assert "r3d-18, 102 tensors in the layout of vmz; 1 blob of training state left out" in capsys.readouterr().out
    assert sorted(load(ours.with_name("c.pth")).blobs) == sorted(load(ours).blobs)


def test_wrong_outputs_leave_nothing(ours: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(ours), "--to=torchvision", f"--output={ours.with_name('x.pkl')}"]) == 2
    assert "would be a pickle, which has blob names" in capsys.readouterr().err
    assert main([str(ours), "--to=ig65m", f"--output={ours.with_name('x.pth')}"]) == 2
    assert main([str(ours), "--to=torchvision", f"--output={ours.with_name('x.onnx')}"]) == 2
    assert main([str(ours), "--to=caffe"]) == 2
    assert sorted(path.name for path in ours.parent.iterdir()) == ["r3d.pkl"]
