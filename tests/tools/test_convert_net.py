"""convert_net: a network goes through every form and comes back the same; what cannot be done is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.engines.small_nets import clip, net, normalised, op
from tests.goldens.e2e import run_tool
from tests.support.in_process import tool
from vmz.errors import UsageError, VmzError

HAS_EXPORT = hasattr(torch, "export") and hasattr(torch.export, "save")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init, main = normalised()
    main.external_output.append("s/softmax")
    (tmp_path / "predict_net.pb").write_bytes(main.SerializeToString())
    (tmp_path / "init_net.pb").write_bytes(init.SerializeToString())
    return tmp_path


def scores(*files: Path) -> np.ndarray:
    module = vmz.import_net(*files)
    with torch.no_grad():
        (found,) = module(torch.from_numpy(clip())).values()
    return np.asarray(found.numpy())


def test_the_summary_names_everything(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool("convert_net.py")([f"--net={folder}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "net small, from protobuf",
        "inputs      s/data",
        "outputs     s/softmax",
        "operators   10: 2 Relu, 1 StopGradient, 1 Conv, 1 SpatialBN, 1 Sum, 1 AveragePool, 1 FC, 1 SoftmaxWithLoss, "
        "1 Accuracy",
        "parameters  7 blobs, 149 values",
    ]


@pytest.mark.parametrize(
    ("output", "again"),
    [
        ("b.mdl", ["b.mdl"]),
        ("b.pb", ["b.pb", "b_init.pb"]),
        ("predict_net.pbtxt", ["predict_net.pbtxt", "init_net.pbtxt"]),
        ("b.json", ["b.json", "init_net.pb"]),
        ("other_predict.pb", ["other_predict.pb", "other_init.pb"]),
    ],
)
def test_every_form_comes_back_the_same(folder: Path, output: str, again: list[str]) -> None:
    source = folder / "b_source.mdl"
    assert tool("convert_net.py")([f"--net={folder}", f"--output={source}"]) == 0  # fixes what the fills drew
    assert tool("convert_net.py")([f"--net={source}", f"--output={folder / output}"]) == 0
    expected = scores(source)
    files = [folder / name for name in again]
    if output == "b.json":
        assert tool("convert_net.py")([f"--net={source}", f"--output={folder / 'w.pkl'}"]) == 0
        module = vmz.import_net(files[0], weights=folder / "w.pkl")
        with torch.no_grad():
            assert np.array_equal(module(torch.from_numpy(clip()))["s/softmax"].numpy(), expected)
    else:
        assert np.array_equal(scores(*files), expected)


@pytest.mark.skipif(not HAS_EXPORT, reason="this PyTorch has no torch.export")
def test_an_exported_program_gives_the_nets_scores(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "net.pt2"
    given = [f"--net={folder}", f"--output={path}", "--input_shape=data=2,3,2,8,8"]
    assert tool("convert_net.py")(given) == 0
    assert (
        "net.pt2: an exported program for s/data 2x3x2x8x8; largest difference from the net " in capsys.readouterr().out
    )
    found = torch.export.load(path).module()(torch.from_numpy(clip()))["s/softmax"]
    assert np.abs(found.detach().numpy() - scores(folder)).max() < 1e-6
    with pytest.raises(UsageError, match="give --input_shape=s/data=N,C"):
        tool("convert_net.py")(given[:2])


@pytest.mark.skipif(HAS_EXPORT, reason="this PyTorch has torch.export")
def test_an_old_pytorch_has_no_exported_programs(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"needs PyTorch 2\.1 or later, for torch\.export"):
        tool("convert_net.py")([f"--net={folder}", f"--output={folder / 'net.pt2'}"])


@needs_caffe2
def test_real_caffe2_runs_what_is_written(folder: Path) -> None:
    from vmz.engines.caffe2_engine.workspace import import_caffe2

    workspace = import_caffe2()
    path = folder / "written_predict_net.pb"
    assert tool("convert_net.py")([f"--net={folder}", f"--output={path}"]) == 0
    init = path.with_name("written_init_net.pb")
    predictor = workspace.Predictor(init.read_bytes(), path.read_bytes())
    (found,) = predictor.run([clip()])
    assert np.abs(np.asarray(found) - scores(path, init)).max() < 1e-6


@pytest.mark.parametrize(
    ("flags", "status", "says"),
    [
        (
            ["--output=x.onnx"],
            2,
            "--output=x.onnx has no extension that can be written; the extensions are .pt2, .json",
        ),
        (["--input_shape=label=2"], 2, "--input_shape=label=2: the net has no input label; its inputs are s/data"),
        (["--input_shape=data=2,x"], 2, "--input_shape=data=2,x must be NAME=N,C"),
        (["--input_shape=data=2,0"], 2, "must be positive numbers"),
        (["--outputs=nothing"], 1, "no blob nothing in the net"),
        (["--outputs=bn@2", "--output={}/x.json"], 2, "output bn@2 is overwritten by a later operator"),
        (["--weights={}/init_net.pb"], 2, "is a protobuf"),
        (["--output={}/none/x.json"], 2, "there is no folder"),
    ],
)
def test_wrong_requests(folder: Path, flags: list[str], status: int, says: str) -> None:
    with pytest.raises(VmzError) as caught:
        tool("convert_net.py")([f"--net={folder}", *(flag.format(folder) for flag in flags)])
    assert says in str(caught.value) and "\n" not in str(caught.value)
    assert caught.value.exit_status == status


def test_missing_operators_end_it_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "predict_net.pb"
    path.write_bytes(net(op("Foo", "a b", "c"), op("Bar", "c", "d")).SerializeToString())
    done = run_tool("convert_net.py", f"--net={path}", f"--output={tmp_path / 'out.json'}")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "number 0 Foo (inputs a, b; outputs c); number 1 Bar (inputs c; outputs d)" in done.stderr
    assert not (tmp_path / "out.json").exists()
