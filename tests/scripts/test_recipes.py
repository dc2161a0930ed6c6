"""The recipes: commands that the tools take, settings that are the published ones, and one recipe run to its end."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.goldens.recordings import SHARED, needs_shared, video_path
from tests.support.optionals import present
from tests.support.small_videos import video
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli import test_net, train_net
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.training.plan import make_plan
from vmz.video.database.lmdb_database import VideoDatabase

ROOT = Path(__file__).resolve().parents[2]


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
    path, flags = Path(step.argv[script]), step.argv[script + 1 :]
    tool = importlib.import_module(f"vmz.cli.{'data.' if path.parent.name == 'data' else ''}{path.stem}")
    if hasattr(tool, "parser"):
        return tool.parser().parse_args(flags)

    def stop(options: Any, *_: Any) -> None:
        raise Parsed(options)

    for module in (tool, test_net):
        for work in ("launch", "train", "evaluate", "feature_files"):
            monkeypatch.setattr(module, work, stop, raising=False)
    with pytest.raises(Parsed) as caught:
        tool.work(flags)
    return caught.value.args[0]


def choose(tmp_path: Path, **changes: Any) -> Any:
    return recipe.Choices(data_dir=str(tmp_path), runs=str(tmp_path), **changes)


def lacks(name: str, settings: str) -> bool:
    """Whether the recipe has no such settings."""
    return settings in RECIPES[name]["commands"][0] and RECIPES[name]["commands"][0][settings] is None


def one_of_each(steps: list[Any]) -> list[Any]:
    """The first of the steps that run a tool with the same flags, of other values."""
    kinds = {tuple(word.partition("=")[0] for word in step.argv): step for step in reversed(steps)}
    return list(kinds.values())


@pytest.mark.parametrize("settings", recipe.SETTINGS)
@pytest.mark.parametrize("name", RECIPES)
def test_the_tools_take_every_command(
    name: str, settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = str(tmp_path / "own.pkl") if RECIPES[name].get("weights", "") is None else None
    choices = choose(tmp_path, settings=settings, split=2, more=(), weights=weights)
    if lacks(name, settings):
        with pytest.raises(UsageError, match=r"there are no settings that .* for this; give --settings=.*recommended"):
            recipe.steps(RECIPES[name], choices)
        return
    for step in one_of_each(recipe.steps(RECIPES[name], choices)):
        assert not [word for word in step.argv if "{" in word or "None" in word]
        if "dense_prediction" in step.argv[1]:
            continue  # its folders are looked for while it parses: see test_dense_prediction_in_one_command
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
    facts = script["flags"] if "flags" in script else script["two_stream_fusion"]
    told = {**script.get("implied", {}), **facts}
    if isinstance(told.get("jitter_scales"), str):
        told["jitter_scales"] = told["jitter_scales"].split(" ")[0]
    if part in ("train", "extract_features"):
        first, _, last = told["gpus"].replace(",", "-").partition("-")
        assert recipe.devices_of(entry, "published") == int(last or first) - int(first) + 1
    elsewhere = {
        "gpus",
        "pretrained_model",
        "db_type",
        "decode_type",
        "crop_per_inference",
        "load_model_path",
        "script",
    }
    [command] = [command for command in entry["commands"] if command.get("published")]
    own = {flag: value for flag, value in command["published"].items() if "{" not in str(value)}
    assert own == {flag: value for flag, value in told.items() if flag not in elsewhere}
    if "pretrained_model" in told:
        assert zoo.find(entry["weights"]).file == told["pretrained_model"]
    expected = script.get("expected", {})
    if isinstance(expected, dict) and expected:
        figures = [value for figure, value in entry["expected"].items() if figure != "source"]
        scale = 100 if expected.get("top1", 100) < 1 else 1
        assert figures == pytest.approx([scale * value for value in list(expected.values())[:3]], rel=1e-12)


def test_figures_and_frame_rates_are_those_of_the_zoo() -> None:
    """Of the published checkpoint that a recipe takes or that its training is to give."""
    gives = {
        "train_kinetics400": "r2plus1d_d18_l8",
        "train_kinetics400_r2plus1d_34": "r2plus1d_d34_l32",
        "train_kinetics400_r2plus1d_152": "r2plus1d_152_kinetics_from_scratch",
        "train_kinetics400_ir_csn_152": "ir_csn_152_kinetics_from_scratch",
        "train_kinetics400_ip_csn_152": "ip_csn_152_kinetics_from_scratch",
        "finetune_kinetics400_ig65m_ir_csn_152": "ir_csn_152_ft_kinetics_from_ig65m",
        "finetune_kinetics400_ig65m_r2plus1d_34": "r2plus1d_34_clip32_ft_kinetics_from_ig65m",
    }
    data_rate = zoo.manifest()["data_recipes"]["Kinetics-400"]["frame_rate"]
    checked = 0
    for name, entry in RECIPES.items():
        tested = None if name.startswith("finetune") else entry.get("weights")
        if name not in gives and (not tested or "{" in tested):
            continue
        row = zoo.find(gives.get(name) or present(tested))
        if "kinetics" in name:
            assert entry["frames_per_second"].startswith(str(row.input_fps or data_rate)), name
        if "expected" in entry:
            kinds = {"clip@1": row.published.clip_top1, "video@1": row.published.video_top1}
            kinds["video@5"] = row.published.video_top5
            for figure, value in entry["expected"].items():
                if figure != "source" and kinds[figure] is not None:  # test.md has a clip@1 that no table has
                    assert value == pytest.approx(kinds[figure], abs=0.06), (name, figure)
                    checked += 1
        if name in gives and entry.get("weights"):
            assert row.initialised_from == entry["weights"]
    assert checked > 25


def test_each_recipe_says_how_frames_are_resized() -> None:
    """Where a command sets video_res_type, the recipe's words name the same one, for each of its settings."""
    for name, entry in RECIPES.items():
        if name.startswith("create_"):
            continue
        assert "video_res_type" in entry["frames"], name
        for settings in recipe.SETTINGS:
            if lacks(name, settings):
                continue
            for command in entry["commands"]:
                value = recipe.settle(command, settings).get("video_res_type")
                if value is None:
                    continue
                parts = entry["frames"].split("; ")
                words = [part for part in parts if settings in part.partition(":")[0].split(", ")]
                assert f"video_res_type {value}" in (words or [entry["frames"]])[0], (name, settings)


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


def test_three_gpus_cannot_stand_for_eight_and_sixteen_raise_batch_and_rate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="made for 8 GPUs, which 3"):
        recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=(0, 1, 2)))
    recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=tuple(range(8))))
    assert not capsys.readouterr().err
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=tuple(range(16))))
    assert not [word for word in step.argv if "accumulation" in word]
    said = capsys.readouterr().err
    assert "made for 8 GPUs; 16 raise the batch from 32 to 64 clips and the learning rate from 0.0016 to 0.0032" in said


@pytest.mark.parametrize("gpus", [(), (0,), (0, 1, 2, 3)])
def test_caffe2_on_fewer_gpus_is_refused_unless_the_batch_is_given(gpus: tuple[int, ...], tmp_path: Path) -> None:
    """It has no accumulation: the batch and the rate would silently be a part of the recipe's."""
    count = max(len(gpus), 1)
    larger = (f"--batch_size={32 // count}", f"--base_learning_rate={0.0016 / count:g}")
    with pytest.raises(UsageError, match="Caffe2 cannot accumulate batches") as caught:
        recipe.steps(RECIPES["finetune_hmdb51"], choose(tmp_path, gpus=gpus, engine="caffe2"))
    assert (
        f"not on 32 at 0.0016. Take 8 GPUs or --engine=pytorch, or larger batches: ... -- {' '.join(larger)} ("
        in str(caught.value)
    )
    choices = choose(tmp_path, gpus=gpus, engine="caffe2", settings="published", more=larger)
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choices)
    config = train_net.configuration([word for word in step.argv if word.startswith("--") and "engine" not in word])
    plan = make_plan(config, count)
    assert plan.clips_per_iteration == 32 and plan.schedule.rate(1) == pytest.approx(0.0016)


def test_settings_that_make_other_databases_give_them_other_names(tmp_path: Path) -> None:
    """Else the one would be passed over where the other is there; and training takes the one of its settings."""
    made: dict[str, Any] = {}
    for name in (name for name in RECIPES if name.startswith("create_")):
        for settings in recipe.SETTINGS:
            if lacks(name, settings):
                continue
            for step in recipe.steps(RECIPES[name], choose(tmp_path, settings=settings)):
                words = [word for word in step.argv if word != "--check"]  # it looks first, and writes the same
                assert made.setdefault(f"{name} {step.makes}", words) == words, step.makes
    for settings, database in (("published", "_100_lmdb"), ("paper", "train_lmdb"), ("recommended", "train_lmdb")):
        [training] = recipe.steps(RECIPES["train_kinetics400"], choose(tmp_path, settings=settings))
        makes = [
            str(step.makes) for step in recipe.steps(RECIPES["create_kinetics400"], choose(tmp_path, settings=settings))
        ]
        [data] = [word.partition("=")[2] for word in training.argv if word.startswith("--train_data=")]
        assert data in makes and data.endswith(database)


def test_caffe2_has_one_process_for_all_gpus(tmp_path: Path) -> None:
    choices = choose(tmp_path, gpus=(0, 1), engine="caffe2", settings="published", more=("--seed=3",))
    [step] = recipe.steps(RECIPES["train_kinetics400"], choices)
    assert step.argv[1].endswith("tools/train_net.py")
    assert step.argv[-3:] == ["--engine=caffe2", "--gpus=0,1", "--seed=3"]


def test_caffe2_is_not_asked_for_a_precision_that_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for engine, words in (("caffe2", []), ("pytorch", ["--precision=bf16"])):
        [step] = recipe.steps(RECIPES["train_kinetics400"], choose(tmp_path, gpus=(0, 1), engine=engine))
        assert [word for word in step.argv if word.startswith("--precision")] == words
        assert ("--precision=bf16 is left out: Caffe2 trains in fp32" in capsys.readouterr().err) == (not words)


def test_the_published_fine_tuning_as_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On one device: 32 clips an iteration at eight times 0.0002, as 8 GPUs had them."""
    choices = choose(tmp_path, settings="published", more=("--dry_run", "--device=cpu"))
    [step] = recipe.steps(RECIPES["finetune_hmdb51"], choices)
    assert load(ROOT / "tools" / "train_net.py").main(step.argv[2:]) == 0
    printed = capsys.readouterr().out
    assert "32 clips" in printed and "1250 iterations" in printed
    assert "0.0016 from epoch 1, 0.00016 from epoch 3" in printed


def test_the_papers_plan_as_a_user_sees_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert recipe.main(["run", "train_kinetics400", f"--data_dir={tmp_path}", "--settings=paper", "--dry_run"]) == 0
    words = capsys.readouterr().out.split()
    assert train_net.work([*words[2:], "--dry_run", "--device=cpu"]) == 0
    printed = capsys.readouterr().out
    assert "256 clips: 32 on each of 8 devices (8 of them by accumulation)" in printed
    assert "0.01 from epoch 1, 0.017 from epoch 2" in printed


def test_dense_prediction_in_one_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From lists to figures, each command once, and what two recipes need in common once."""
    for name in ("dense_kinetics400", "dense_kinetics400_scratch", "dense_kinetics400_flow", "fuse_kinetics400"):
        steps = recipe.steps(RECIPES[name], choose(tmp_path))
        tools = [Path(word).stem for step in steps for word in step.argv[1:2]]
        assert len({tuple(step.argv) for step in steps}) == len(steps)
        streams = 2 if name == "fuse_kinetics400" else 1
        assert tools == [
            "dataset_list", "dense_list", *["create_video_db"] * 10, *["extract_features"] * 10 * streams,
            "dense_prediction_fusion" if streams == 2 else "dense_prediction_aggregation",
        ]  # fmt: skip
        folders = {str(step.makes.parent) for step in steps if "extract_features" in step.argv[1]}
        flags = [word.partition("=") for word in steps[-1].argv if word.startswith("--input_dir")]
        assert folders == {folder for _, _, folder in flags}
    rows = {entry["weights"] for entry in RECIPES.values() if entry.get("about", "").startswith("dense prediction")}
    assert rows >= {row.name for row in zoo.rows() if row.protocol == "dense"}
    with pytest.raises(UsageError, match="in no published table; name a checkpoint with --weights"):
        recipe.main(["run", "extract_kinetics400_csn", f"--data_dir={tmp_path}", "--dry_run"])


@pytest.mark.slow
def test_dense_prediction_of_a_small_hmdb51(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The recipe run to its end, with a network of random numbers on three short videos."""
    for number, name in enumerate(("climb", "kick", "wave")):
        (tmp_path / "videos" / name).mkdir(parents=True)
        (tmp_path / "testTrainMulti_7030_splits").mkdir(exist_ok=True)
        video(tmp_path / "videos" / name / f"{name}_1.mp4", number, frames=34 + 8 * number)
        (tmp_path / "testTrainMulti_7030_splits" / f"{name}_test_split1.txt").write_text(f"{name}_1.mp4 2 \n")
    config = ModelConfig("r2plus1d", 10, num_labels=3, clip_length=8, channel_multiplier=0.1)
    model = build(config)
    save_pickle(tmp_path / "own.pkl", seeded_weights([*model.params, *model.computed_params], 0))
    small = ["--model_depth=10", "--num_labels=3", "--clip_length_rgb=8", "--channel_multiplier=0.1", "--num_gpus=0"]
    arguments = ["run", "dense_hmdb51", f"--data_dir={tmp_path}", f"--weights={tmp_path / 'own.pkl'}", "--", *small]
    assert recipe.main(arguments) == 0
    printed = capfd.readouterr().out
    assert "Accuracy: clip 0." in printed and "3 videos, 6 clips (1 to 3 a video), of 2 files" in printed
    assert json.loads((tmp_path / "runs" / "dense_own.json").read_text())["videos"] == 3
    assert recipe.main(arguments) == 0  # what is made already is passed over
    assert capfd.readouterr().out.count("exists already") == 6


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
        with pytest.raises(UsageError, match="not a list of GPUs"):
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
    assert capfd.readouterr().out.count("exists already") == 4
    (videos / "Biking" / "v_Biking_g01_c01.avi").unlink()
    (tmp_path / "ucf101_test_1.csv").unlink()
    with pytest.raises(VmzError, match=r"dataset_list.py ended with status 2; the recipe stops there"):
        recipe.main(["run", "create_ucf101", f"--data_dir={tmp_path}"])
    assert "1 of the 1 video of" in capfd.readouterr().err


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
