"""`vmz finetune` from class folders to a network that `vmz predict` takes, on both engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vmz
from tests.engines.real_caffe2 import needs_operators
from tests.prediction.test_sound import SOUND, checkpoint
from tests.support.motion import CLASSES, make_videos
from tests.support.sounding_videos import sounding_video
from vmz.cli.finetune import work
from vmz.errors import UsageError

DEMO = str(Path(__file__).resolve().parents[2] / "models_zoo" / "demo" / "motion_r2plus1d_10.pkl")
ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_operators)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four videos of each of three motions, as class folders."""
    root = tmp_path_factory.mktemp("motions")
    for name in ("up", "in", "left"):
        (root / name).mkdir()
        for number in range(4):
            content = make_videos.make_video(name, (5, number, CLASSES.index(name)))
            (root / name / f"{number}.mp4").write_bytes(content)
    return root


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_from_folders_to_a_network(
    engine: str, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own"
    given = ["--num_gpus=0", f"--engine={engine}", f"--file_store_path={out}", "--num_epochs=2"]
    assert work([str(folders), f"--load_model_path={DEMO}", *given, "--val_share=0.25"]) == 0
    printed = capsys.readouterr().out
    assert "3 classes: in, left, up\n9 videos for training, 3 for the test\n" in printed
    assert "--use_full_ft=0" in printed and "3 videos of a class are too few to train 0.2 million parameters" in printed
    assert "--random_mirror=0" in printed and "mirrored clips of the class left would be of another class" in printed
    assert printed.rstrip().endswith(f"vmz predict VIDEO --load_model_path {out / 'finetuned_best.pkl'}")
    for name in ("curves.html", "report.html", "results.json", "training.json", "finetuned_best.pkl", "classes.txt"):
        assert (out / name).stat().st_size > 0
    results = json.loads((out / "results.json").read_text())
    assert results["videos"] == 3 and results["label_names"] == ["in", "left", "up"]
    model: Any = vmz.load_model(str(out / "finetuned_best.pkl"), device="cpu")
    assert model.labels == ("in", "left", "up") and model.settings.clip_length_rgb == 8
    found = model.predict(str(folders / "up" / "0.mp4"), views=2)
    assert {one.name for one in found.top} == {"in", "left", "up"}


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_network_that_hears(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, name in enumerate(("low", "high")):
        (tmp_path / "tones" / name).mkdir(parents=True)
        for film in range(4):
            sounding_video(tmp_path / "tones" / name / f"{film}.mp4", 2 * number, frames=8, sound=film != 3)
    weights, out = checkpoint(tmp_path / "sound.pkl", SOUND, 2), tmp_path / "own"
    given = ["--num_gpus=0", f"--engine={engine}", f"--file_store_path={out}", "--num_epochs=1", "--val_share=0.25"]
    assert work([str(tmp_path / "tones"), f"--load_model_path={weights}", *given]) == 0
    printed = capsys.readouterr()
    assert "6 videos for training, 2 for the test\n" in printed.out and "short side" not in printed.err
    silent = [json.loads((out / name).read_text()) for name in ("training.json", "results.json")]
    heard = [Path(one["path"]).name for one in [*silent[0]["without_sound"], *silent[1]["without_sound"]]]
    assert heard == ["3.mp4", "3.mp4"], "one of each class, each once in training or test"
    model: Any = vmz.load_model(str(out / "finetuned_best.pkl"), device="cpu")
    assert model.labels == ("high", "low") and model.settings.input_type == 2
    assert model.predict(str(tmp_path / "tones" / "low" / "0.mp4"), views=1).without_sound is None


@pytest.mark.long
def test_what_is_recommended_stays_when_resumed(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "own"
    arguments = [str(folders), f"--load_model_path={DEMO}", "--num_gpus=0"]
    arguments += [f"--file_store_path={out}", "--num_epochs=1", "--test_every=1"]
    assert work(arguments) == 0
    kept = (out / "finetune.json").read_text()
    with pytest.raises(UsageError, match="--resume=1"):
        work(arguments)
    capsys.readouterr()
    assert work([*arguments, "--resume=1", "--minutes=0.01"]) == 0
    assert (out / "finetune.json").read_text() == kept


def test_as_many_classes_as_the_weights_have_get_a_new_classifier(tmp_path: Path, folders: Path) -> None:
    from vmz.cli.finetune import _new_classifier
    from vmz.datasets.class_folders import read_videos
    from vmz.finetuning.split import Split, split

    eight = Split((), (), tuple(f"own {number}" for number in range(8)))
    assert _new_classifier(eight, DEMO) == {"pred_layer_name": "own_L8"}
    assert _new_classifier(split(read_videos(folders), 0.25, 0), DEMO) == {}


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ([], "no data is given; name a folder of class folders, as in: vmz finetune"),
        (["{folders}"], "no weights are given; name a published model with --zoo, or a file"),
        (["{folders}", "--load_model_path={demo}", "--num_labels=3"], "--num_labels follows from DATA here"),
        (["{folders}/up", "--load_model_path={demo}"], "outside class folders"),
        (["nowhere", "--load_model_path={demo}"], "nowhere"),
        (["{folders}", "--zoo=r2plus1d_d18_l9"], "no published model is called"),
    ],
)
def test_requests(argv: list[str], sentence: str, folders: Path, tmp_path: Path) -> None:
    given = [text.replace("{folders}", str(folders)).replace("{demo}", DEMO) for text in argv]
    with pytest.raises(UsageError, match=sentence):
        work([*given, f"--file_store_path={tmp_path}"] if given else [])
