"""Training from within: which epoch is kept as the best, when it stops early, what TensorBoard is given."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.disks import disk
from tests.support.motion import TINY_NETWORK, write_motion_database
from tests.support.optionals import present
from vmz.checkpoints.loading import load
from vmz.cli.train_net import configuration
from vmz.results.training import TrainingResult
from vmz.training import run as training
from vmz.training.side_outputs import SideOutputs


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_motion_database(tmp_path_factory.mktemp("motion") / "lmdb")


def run(
    database: Path, folder: Path, figures: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch, *more: str
) -> TrainingResult:
    """Train for some epochs whose evaluations give `figures`."""
    given = iter(figures)
    monkeypatch.setattr(
        training,
        "evaluate_weights",
        lambda config, weights: SimpleNamespace(
            figures=next(given), videos=8, loss=0.5, heads={}, skipped=[], ended_early=[], without_sound=[]
        ),
    )
    config = configuration(
        [*TINY_NETWORK, "--batch_size=2", "--epoch_size=6", f"--num_epochs={len(figures)}", "--save_model_name=run",
         f"--train_data={database}", f"--test_data={database}", f"--file_store_path={folder}", "--display_iter=2",
         *more],
    )  # fmt: skip
    return training.train(config)


@pytest.mark.parametrize("engine", ENGINES)
def test_of_equal_epochs_the_better_clips_then_the_lower_loss_are_kept(
    engine: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal = [{"clip@1": clip, "video@1": 1.0} for clip in (0.5, 0.75, 0.75, 0.75)]
    found = run(database, tmp_path, equal, monkeypatch, f"--engine={engine}", "--early_stop=2")
    lines = "\n".join(found.lines())
    assert found.stopped_early and "stopped early: 2 epochs without improvement of video@1 and clip@1" in lines
    losses = {epoch.epoch: present(epoch.loss) for epoch in found.epochs if epoch.epoch > 1}
    lowest = min(losses, key=lambda epoch: losses[epoch])
    assert f"best: epoch {lowest}," in lines and found.best is not None and found.best.epoch == lowest
    about = load(tmp_path / "run_best.pkl").about["metrics"]
    assert about["epoch"] == lowest and about["figures"] == equal[1]


def test_tensorboard_is_given_the_figures_of_the_log(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[tuple[str, int], float] = {}

    class Writer:
        def __init__(self, folder: str) -> None:
            assert folder == str(tmp_path / "board")

        def add_scalar(self, name: str, value: float, iteration: int) -> None:
            given[name, iteration] = value

        def flush(self) -> None: ...

        def close(self) -> None: ...

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    figures = [{"clip@1": 0.5, "video@1": 1.0}] * 2
    found = run(database, tmp_path, figures, monkeypatch, f"--tensorboard={tmp_path / 'board'}")
    for epoch in found.epochs:
        assert epoch.iteration is not None
        for name in ("loss", "accuracy", "learning_rate", "clips_per_second"):
            assert given[f"epoch/{name}", epoch.iteration] == getattr(epoch, name)
        assert given["test/video@1", epoch.iteration] == 1.0
        assert given["test/loss", epoch.iteration] == epoch.test_loss == 0.5
    assert [iteration for name, iteration in given if name == "train/loss"] == [2, 3, 5, 6]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_page_and_a_board_that_cannot_be_written_do_not_stop_a_training(
    engine: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[int] = []

    class Writer:
        def __init__(self, folder: str) -> None: ...

        def add_scalar(self, name: str, value: float, iteration: int) -> None:
            written.append(iteration)
            if len(written) > 5:
                raise OSError(28, "No space left on device")

        def flush(self) -> None: ...

        def close(self) -> None:
            raise AssertionError("it is dead")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = Writer  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    figures = [{"clip@1": 0.5, "video@1": 1.0}] * 3
    runs, board = tmp_path / "runs", tmp_path / "board"
    with disk(tmp_path / "full", "size=8k") as full:
        more = [f"--engine={engine}", f"--report={full / 'page.html'}", f"--tensorboard={board}"]
        found = run(database, runs, figures, monkeypatch, *more)
        assert list(full.iterdir()) == []
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: --")]
    assert warnings == [
        f"warning: --tensorboard={board}: No space left on device; the run continues without it",
        f"warning: --report={full / 'page.html'}: cannot write {full / 'page.html'}: No space left on device; "
        "the previous content is unchanged; the run continues without it",
    ]
    assert len(written) == 6 and len(found.epochs) == 3 and (runs / "run_3.mdl").exists()
    assert [line.partition(" is not complete: ")[0] for line in found.not_written] == [
        f"--tensorboard={board}",
        f"--report={full / 'page.html'}",
    ]
    assert found.to_json()["not_written"] == list(found.not_written)


def test_a_page_that_can_be_written_again_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    outputs = SideOutputs()

    def fail() -> None:
        raise OSError(28, "No space left on device")

    assert not outputs.write("--report=a", fail) and not outputs.write("--report=a", fail)
    assert capsys.readouterr().err.count("warning: ") == 1 and outputs.lines() == [
        "--report=a is not complete: No space left on device"
    ]
    assert outputs.write("--report=a", lambda: None) and outputs.lines() == []


@pytest.mark.parametrize("engine", ENGINES)
def test_a_schedule_that_waits_for_the_warm_up(
    engine: str, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three epochs of three iterations: one of warm-up, then a tenth after one, on either engine."""
    flags = [f"--engine={engine}", "--warmup_epochs=1", "--lr_milestones=1", "--base_learning_rate=0.003"]
    found = run(database, tmp_path, [{"clip@1": 0.5, "video@1": 1.0}] * 3, monkeypatch, *flags, "--display_iter=1")
    rates = [point.learning_rate for point in found.points]
    assert rates == pytest.approx([0.001, 0.002, 0.003, 0.003, 0.003, 0.0003, 0.0003, 0.0003, 0.0003])
