"""--config and --save_config: a run again from the file that it left, on both engines, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.support.in_process import tool
from tests.support.motion import CLASSES, TINY_NETWORK, write_motion_database
from vmz import zoo
from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli import train_net
from vmz.cli.shared.running import run_tool
from vmz.cli.test_net import configuration
from vmz.cli.test_net import main as main_of_test_net
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.run import evaluate
from vmz.features.config import ExtractionConfig
from vmz.features.formats.feature_files import load_features
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.resolution import COMMAND_LINE, CONFIG, DEFAULT, ZOO
from vmz.training.config import TrainConfig

TOOLS = ["test_net", "test_net_large", "train_net", "extract_features"]


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_motion_database(tmp_path_factory.mktemp("motion") / "lmdb")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.pkl"
    model = build(ModelConfig(model_depth=10, channel_multiplier=0.05, num_labels=len(CLASSES), clip_length=2))
    save_pickle(path, seeded_weights([*model.params, *model.computed_params]))
    return path


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_an_evaluation_again_from_its_results(engine: str, database: Path, weights: Path, tmp_path: Path) -> None:
    first, saved, scores = tmp_path / "results.json", tmp_path / "config.json", tmp_path / "scores.npz"
    argv = [
        *TINY_NETWORK, "--clip_per_video=2", "--batch_size=3", "--top_k=2", f"--engine={engine}",
        f"--test_data={database}", f"--load_model_path={weights}", f"--save_scores={scores}",
    ]  # fmt: skip
    assert tool("test_net.py")([*argv, f"--output={first}", f"--save_config={saved}"]) == 0
    results, kept = read(first), dict(np.load(scores))
    assert results["options"]["engine"] == engine
    assert read(saved)["options"] == results["options"]
    for number, config in enumerate((first, saved)):
        again = tmp_path / f"again_{number}.json"
        assert tool("test_net.py")([f"--config={config}", f"--output={again}"]) == 0
        found = read(again)
        assert found["figures"] == results["figures"] and found["environment"] == results["environment"]
        assert {**found["options"], "output": str(first)} == results["options"]
        assert found["settings"]["sources"]["clip_per_video"] == {"value": 2, "source": CONFIG}
        assert np.array_equal(np.load(scores)["softmax"], kept["softmax"])  # to the bit, where the first wrote them
    other = tmp_path / "other.json"
    assert tool("test_net.py")([f"--config={first}", f"--output={other}", "--clip_per_video=3", "--top_k=1"]) == 0
    assert read(other)["clips_per_video"] == 3 and "video@1" in read(other)["figures"]
    assert read(other)["settings"]["sources"]["clip_per_video"]["source"] == COMMAND_LINE
    assert read(other)["settings"]["sources"]["num_labels"]["source"] == CONFIG
    if engine == "pytorch":  # and from Python
        assert dict(evaluate(EvaluationConfig.from_flags(results["options"])).figures) == results["figures"]


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_training_again_from_its_results(engine: str, database: Path, tmp_path: Path) -> None:
    first, saved = tmp_path / "results.json", tmp_path / "config.json"
    argv = [
        *TINY_NETWORK, "--batch_size=2", "--epoch_size=4", "--num_epochs=1", "--base_learning_rate=0.01",
        "--random_mirror=0", "--save_model_name=run", "--test_clip_per_video=1", f"--engine={engine}",
        f"--train_data={database}", f"--test_data={database}", f"--file_store_path={tmp_path / 'first'}",
    ]  # fmt: skip
    assert tool("train_net.py")([*argv, f"--output={first}", f"--save_config={saved}"]) == 0
    assert read(saved) == {"tool": read(saved)["tool"], "options": read(first)["options"]}
    for number, config in enumerate((first, saved)):
        folder, again = tmp_path / f"again_{number}", tmp_path / f"again_{number}.json"
        more = [f"--config={config}", f"--file_store_path={folder}", f"--output={again}"]
        assert tool("train_net.py")([*more, "--batch_size=4"] if number else more) == 0
        [before], [after] = read(first)["epochs"], read(again)["epochs"]
        assert after["iteration"] == (1 if number else 2)  # the flag beside the file wins
        if not number:
            assert (after["loss"], after["figures"]) == (before["loss"], before["figures"])
            ours, theirs = (load_pickle(path / "run_1.pkl") for path in (tmp_path / "first", folder))
            assert all(np.array_equal(ours[blob], theirs[blob]) for blob in ours)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_extraction_again_from_its_configuration(engine: str, database: Path, weights: Path, tmp_path: Path) -> None:
    saved = tmp_path / "config.json"
    argv = [*TINY_NETWORK, "--decode_type=1", "--batch_size=3", "--features=final_avg,label", f"--engine={engine}"]
    argv += [f"--test_data={database}", f"--load_model_path={weights}", f"--output_path={tmp_path / 'first.npz'}"]
    assert tool("extract_features.py")([*argv, f"--save_config={saved}"]) == 0
    assert read(saved)["options"]["videos"] is None
    assert ExtractionConfig.from_flags(read(saved)["options"]).engine == engine
    assert tool("extract_features.py")([f"--config={saved}", f"--output_path={tmp_path / 'again.npz'}"]) == 0
    first, again = load_features(tmp_path / "first.npz"), load_features(tmp_path / "again.npz")
    assert list(again) == ["final_avg", "label"]
    assert all(np.array_equal(first[name], again[name]) for name in first)
    more = ["--features=softmax", f"--output_path={tmp_path / 'other.npz'}"]
    assert tool("extract_features.py")([f"--config={saved}", *more]) == 0
    assert load_features(tmp_path / "other.npz")["softmax"].shape == (len(CLASSES), len(CLASSES))


def test_several_videos_are_kept_as_they_were(weights: Path, tmp_path: Path) -> None:
    """A list in the file, one of whose names begins as a flag does."""
    config = written(tmp_path / "config.json", {"options": {"videos": ["a.mp4", "--engine=caffe2"], "save_h5": False}})
    with pytest.raises(UsageError, match=r"a\.mp4"):
        tool("extract_features.py")([f"--config={config}", "--random_weights=1", f"--output_path={tmp_path / 'out'}"])
    assert ExtractionConfig(videos="a.mp4").videos == ("a.mp4",)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"^videos has no value, but it must have one or be left out$"):
        ExtractionConfig(videos=())


def test_a_file_of_settings_alone_and_by_another_tool(database: Path, tmp_path: Path) -> None:
    config = written(tmp_path / "config.json", {"clip_per_video": 2, "num_gpus": None, "use_pool1": True})
    found = configuration([f"--config={config}"])
    assert (found.clip_per_video, found.num_gpus, found.use_pool1, found.batch_size) == (2, None, 1, 6)
    assert configuration([f"--config={config}", "--clip_per_video=10"]).clip_per_video == 10  # though it is the default
    with pytest.raises(UsageError, match=r"has no setting 'clip_per_video'; did you mean test_clip_per_video\?$"):
        train_net.configuration([f"--config={config}"])


def test_a_published_model_is_tested_as_it_was(tmp_path: Path) -> None:
    """The protocol too: that of ten clips and a centre crop is published, not fast, though the file has its crop."""
    for name in ("r2plus1d_d18_l8", "ip_csn_152_ft_kinetics_from_ig65m", "r2plus1d_34_clip32_ft_kinetics_from_ig65m"):
        for more in ([], ["--protocol=fast"]):
            first = configuration([f"--zoo={name}", *more])
            assert first.resolution is not None
            config = written(tmp_path / "config.json", {"options": first.flags()})
            again = configuration([f"--config={config}"])
            assert again.resolution is not None
            assert again.flags() == first.flags()
            assert again.resolution.protocol == first.resolution.protocol
            assert again.resolution.differences == first.resolution.differences


def test_zoo_and_protocol_by_hand_win_over_the_file(tmp_path: Path) -> None:
    csn = configuration(["--zoo=ip_csn_152_ft_kinetics_from_ig65m", "--top_k=3"])
    config = written(tmp_path / "config.json", {"options": csn.flags()})
    other = configuration([f"--config={config}", "--zoo=r2plus1d_d18_l8"])
    alone = configuration(["--zoo=r2plus1d_d18_l8", "--top_k=3"])
    assert other.flags() == alone.flags()
    assert other.resolution is not None
    sources = {flag: sourced.source for flag, sourced in other.resolution.settings.items()}
    assert (sources["model_name"], sources["use_convolutional_pred"], sources["top_k"]) == (ZOO, DEFAULT, CONFIG)
    fast = configuration([f"--config={config}", "--protocol=fast"])
    assert fast.flags() == configuration([f"--zoo={csn.zoo}", "--protocol=fast", "--top_k=3"]).flags()
    assert fast.resolution is not None and fast.resolution.protocol == zoo.FAST


@pytest.mark.parametrize("name", TOOLS)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"options": {"clip_lenght_rgb": 8}}', "has no setting 'clip_lenght_rgb'; did you mean clip_length_rgb?"),
        ('{"config": "a.json"}', "has no setting 'config'; "),
        ('{"help": 1}', "has no setting 'help'; "),
        ('{"debug": true}', "has no setting 'debug'; "),
        ('{"batch_size": 0}', "batch_size: 0 is not at least 1"),
        ('{"batch_size": "many"}', "batch_size: 'many' is not an integer"),
        ('{"batch_size": 1.5}', "batch_size: '1.5' is not an integer"),
        ('{"batch_size": null}', "batch_size has no value, but it must have one or be left out"),
        ('{"batch_size": [1, 2]}', "batch_size: '[1, 2]' is not an integer"),
        ('{"batch_size": {"of": 2}}', "batch_size: "),
        ('{"multi_label": 2}', "multi_label: '2' is not 0 or 1"),
        ('{"load_model_path": 5}', "load_model_path is 5, but it must be text"),
        ('{"load_model_path": true}', "load_model_path is True, but it must be text"),
        ('{"engine": "tensorflow"}', "unknown engine 'tensorflow'; choose from: pytorch, caffe2"),
        ('{"device": "tpu"}', "device: unknown device 'tpu'; the devices are auto, cpu, cuda and cuda:N"),
        ('{"seed": 1, "seed": 2}', "is not JSON: the name 'seed' appears twice in one object"),
        ('{"options": [1]}', "options is [1], not an object of settings and their values"),
        ("[1]", "is not as expected: it is [1], not an object"),
        ("batch_size: 3", "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_what_is_no_configuration_is_refused(
    name: str, content: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.json"
    path.write_text(content)
    assert run_tool(tool(f"{name}.py"), [f"--config={path}"], several=True) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --config={path}") and said in line


def test_a_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (str(tmp_path / "missing.json"), str(tmp_path), ""):
        assert main_of_test_net([f"--config={path}"]) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: cannot read --config={path}: ")


def test_a_configuration_that_cannot_be_written(database: Path, tmp_path: Path) -> None:
    argv = [*TINY_NETWORK, "--random_weights=1", f"--test_data={database}"]
    folder = tmp_path / "nowhere"
    with pytest.raises(UsageError, match="save_config"):
        tool("test_net.py")([*argv, f"--save_config={folder / 'config.json'}"])
    assert not folder.exists()


def test_configurations_are_json_both_ways() -> None:
    for kind in (EvaluationConfig, TrainConfig, ExtractionConfig):
        config = kind(batch_size=3)  # type: ignore[call-arg]
        assert kind.from_flags(json.loads(json.dumps(config.flags()))) == config  # type: ignore[attr-defined]
