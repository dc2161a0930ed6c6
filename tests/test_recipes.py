"""The recipes: commands that the tools take, settings that are the published ones, and one recipe run to its end."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.golden import SHARED, needs_shared, video_path
from vmz import zoo
from vmz.errors import UsageError, VmzError
from vmz.video.database import VideoDatabase
from vmz.workflows import evaluation_command

ROOT = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    """A script as a module of its own."""
    name = f"script_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look for their module there
        try:
            spec.loader.exec_module(sys.modules[name])
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


recipe = load(ROOT / "scripts" / "recipe.py")
RECIPES = recipe.recipes()


class Parsed(Exception):
    """Raised with the options of a tool in place of its work."""


def parsed(step: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The options that the tool of a step makes of its flags."""
    script = next(index for index, word in enumerate(step.argv) if word.endswith(".py"))
    tool, flags = load(Path(step.argv[script])), step.argv[script + 1 :]
    if tool.__name__.endswith(("_create_video_db", "_dataset_list")):
        return tool.parser().parse_args(flags)

    def stop(options: Any, *_: Any) -> None:
        raise Parsed(options)

    for module in (tool, evaluation_command):
        for work in ("launch", "train", "evaluate"):
            monkeypatch.setattr(module, work, stop, raising=False)
    with pytest.raises(Parsed) as caught:
        tool.main(flags)
    return caught.value.args[0]


def choose(tmp_path: Path, **changes: Any) -> Any:
    return recipe.Choices(data_dir=str(tmp_path), runs=str(tmp_path), **changes)


@pytest.mark.parametrize("settings", recipe.SETTINGS)
@pytest.mark.parametrize("name", RECIPES)
def test_the_tools_take_every_command(
    name: str, settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = choose(tmp_path, settings=settings, split=2, more=())
    if any(command.get("published", {}) is None for command in RECIPES[name]["commands"]) and settings == "published":
        with pytest.raises(UsageError, match="no settings were ever published"):
            recipe.steps(RECIPES[name], choices)
        return
    for step in recipe.steps(RECIPES[name], choices):
        assert not [word for word in step.argv if "{" in word or "None" in word]
        options = vars(parsed(step, monkeypatch))
        for word in step.argv:
            if word.startswith("--") and "=" in word:
                flag, _, value = word[2:].partition("=")
                assert str(options[flag]) == value or float(options[flag]) == float(value), word


@needs_shared
@pytest.mark.parametrize("name", [name for name, entry in RECIPES.items() if "protocol" in entry])
def test_published_settings_are_those_of_the_scripts(name: str) -> None:
    entry = RECIPES[name]
    part, key = entry["protocol"].split(".")
    script = json.loads((SHARED / "spec" / "protocols.json").read_text())[part][key]
    told = {**script.get("implied", {}), **script["flags"]}
    if isinstance(told.get("jitter_scales"), str):
        told["jitter_scales"] = told["jitter_scales"].split(" ")[0]
    if part == "train":
        first, _, last = told["gpus"].replace(",", "-").partition("-")
        assert entry["devices"] == int(last) - int(first) + 1
    elsewhere = {"gpus", "pretrained_model", "db_type", "decode_type", "crop_per_inference"}
    [command] = entry["commands"]
    assert command["published"] == {flag: value for flag, value in told.items() if flag not in elsewhere}
    if "pretrained_model" in told:
        assert zoo.find(entry["weights"]).file == told["pretrained_model"]
    expected = script.get("expected", {})
    if isinstance(expected, dict) and expected:
        figures = [value for figure, value in entry["expected"].items() if figure != "source"]
        scale = 100 if expected.get("top1", 100) < 1 else 1
        assert figures == pytest.approx([scale * value for value in list(expected.values())[:3]], rel=1e-12)


@pytest.mark.parametrize(
    ("gpus", "launcher", "accumulation"),
    [((), False, 8), ((3,), False, 8), ((0, 1), True, 4), (tuple(range(8)), True, 1)],
)
def test_fewer_gpus_than_published_accumulate(
    gpus: tuple[int, ...], launcher: bool, accumulation: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=gpus))
    assert ("torch.distributed.run" in step.argv) == launcher
    assert (f"--nproc_per_node={len(gpus)}" in step.argv) == launcher
    options = parsed(step, monkeypatch)
    assert options.accumulation_steps == accumulation
    assert options.gpus == (",".join(map(str, gpus)) or None)
    assert options.batch_size * max(len(gpus), 1) * accumulation == 32


def test_three_gpus_cannot_stand_for_eight_and_sixteen_may(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="made for 8 GPUs, which 3"):
        recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=(0, 1, 2)))
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=tuple(range(16))))
    assert not [word for word in step.argv if "accumulation" in word]


def test_caffe2_has_one_process_for_all_gpus(tmp_path: Path) -> None:
    choices = choose(tmp_path, gpus=(0, 1), engine="caffe2", settings="published", more=("--seed=3",))
    [step] = recipe.steps(RECIPES["train_kinetics400"], choices)
    assert step.argv[1].endswith("tools/train_net.py")
    assert step.argv[-3:] == ["--engine=caffe2", "--gpus=0,1", "--seed=3"]


def test_the_published_fine_tuning_as_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On one device: 32 clips an iteration at eight times 0.0002, as 8 GPUs had them."""
    choices = choose(tmp_path, settings="published", more=("--dry_run", "--device=cpu"))
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choices)
    assert load(ROOT / "tools" / "train_net.py").main(step.argv[2:]) == 0
    printed = capsys.readouterr().out
    assert "32 clips" in printed and "1250 iterations" in printed
    assert "0.0016 from epoch 1, 0.00016 from epoch 3" in printed


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert recipe.main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    for name in RECIPES:
        assert recipe.main(["show", name]) == 0
        printed = capsys.readouterr().out
        assert printed.startswith(f"{name}: ") and "--" in printed
    with pytest.raises(UsageError, match="no recipe is called 'nothing'; there are create_hmdb51"):
        recipe.main(["show", "nothing"])
    for wrong in ("x", "1-0", "0,0", ""):
        with pytest.raises(UsageError, match="no list of GPUs"):
            recipe.main(["run", "test_ucf101", "--data_dir=x", f"--gpus={wrong}"])


@needs_shared
def test_databases_of_a_small_ucf101(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lists, videos = tmp_path / "ucfTrainTestlist", tmp_path / "UCF-101"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 Biking\n")
    (lists / "trainlist01.txt").write_text("Archery/v_Archery_g08_c01.avi 1\nBiking/v_Biking_g08_c01.avi 2\n")
    (lists / "testlist01.txt").write_text("Biking/v_Biking_g01_c01.avi\n")
    contents = {name: video_path("skeleton.mp4").read_bytes() for name in ("Archery_g08", "Biking_g08", "Biking_g01")}
    for name, content in contents.items():
        (videos / name.split("_")[0]).mkdir(parents=True, exist_ok=True)
        (videos / name.split("_")[0] / f"v_{name}_c01.avi").write_bytes(content)
    assert recipe.main(["run", "create_ucf101", f"--data_dir={tmp_path}"]) == 0
    for subset, labels in (("train", {0, 1}), ("test", {1})):
        with VideoDatabase(tmp_path / f"ucf101_{subset}_1_lmdb") as database:
            assert {database[index].labels for index in range(len(database))} == {(label,) for label in labels}
    assert (tmp_path / "ucf101_classes.txt").read_text() == "Archery\nBiking\n"
    capfd.readouterr()
    assert recipe.main(["run", "create_ucf101", f"--data_dir={tmp_path}"]) == 0
    assert capfd.readouterr().out.count("is there already") == 4
    (videos / "Biking" / "v_Biking_g01_c01.avi").unlink()
    (tmp_path / "ucf101_test_1.csv").unlink()
    with pytest.raises(VmzError, match=r"dataset_list.py ended with status 2; the recipe stops there"):
        recipe.main(["run", "create_ucf101", f"--data_dir={tmp_path}"])
    assert "1 of the 1 videos" in capfd.readouterr().err


def test_the_environment_chooses_the_engine_of_every_step(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(name for name, row in RECIPES.items() if any("train_net" in step["run"] for step in row["commands"]))
    given = ["run", name, "--data_dir=/nowhere", "--gpus=0,1", "--dry_run"]
    monkeypatch.setenv("VMZ_ENGINE", "caffe2")
    recipe.main(given)
    told = capsys.readouterr().out
    assert "--engine=caffe2" in told and "torch.distributed" not in told  # Caffe2 takes several GPUs itself
    recipe.main([*given, "--engine=pytorch"])
    told = capsys.readouterr().out
    assert "--engine=pytorch" in told and "torch.distributed" in told
    monkeypatch.setenv("VMZ_ENGINE", "x")
    with pytest.raises(UsageError, match="VMZ_ENGINE is 'x'"):
        recipe.main(given)
