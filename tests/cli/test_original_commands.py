"""The command lines of the original's scripts and tutorials, word for word: the tool of that name takes each."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.goldens.recordings import SHARED, needs_shared
from tests.tools.every_tool.test_original_flags import parser_of
from vmz.cli.data import create_video_db
from vmz.cli.shared.options import parse
from vmz.errors import UsageError
from vmz.evaluation.config import EvaluationConfig
from vmz.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = json.loads(Path(__file__).with_name("original_commands.json").read_text())["commands"]
NAMES = [f"{entry['source']}-{number}" for number, entry in enumerate(COMMANDS)]
TUTORIALS = ["dense_prediction.md", "feature_extraction.md", "test.md"]


def test_they_are_26_of_every_script() -> None:
    assert len(COMMANDS) == 26
    scripts = {Path(entry["source"]).name for entry in COMMANDS}
    assert len(scripts) == 16 + len(TUTORIALS) and scripts >= set(TUTORIALS)


@pytest.mark.parametrize("entry", COMMANDS, ids=NAMES)
def test_a_command_parses_as_it_stands(entry: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    python, script, *flags = shlex.split(entry["command"])
    assert python == "python" and (ROOT / script).is_file()
    tool = Path(script).stem
    parser = parser_of(tool, monkeypatch)
    uses = {"train_net": TrainConfig.use, "test_net": EvaluationConfig.use, "test_net_large": EvaluationConfig.use}
    options = parse(parser, flags, uses[tool]) if tool in uses else parser.parse_args(flags)
    renamed = {"pretrained_model": "load_model_path"}
    for flag in flags:
        name, _, value = flag[2:].partition("=")
        found = getattr(options, renamed.get(name, name))
        assert str(found) == value or float(found) == float(value), flag
    if "--pretrained_model" in entry["command"]:
        assert options.is_checkpoint == 0


def test_what_the_original_refused_is_refused(tmp_path: Path) -> None:
    """HEAD's create_kinetics_lmdb.sh stores the videos' bytes a hundred times: its assertion is our sentence."""
    [command] = [entry["command"] for entry in COMMANDS if "--num_epochs=100" in entry["command"]]
    with pytest.raises(UsageError, match="would store every video 100 times; it needs --use_list=1"):
        create_video_db.work([flag.replace("/data/users", str(tmp_path)) for flag in shlex.split(command)[2:]])


@needs_shared
def test_they_hold_the_recorded_flags() -> None:
    """The shared record of the scripts' flags, but for --gpus=0-7, which it shortens."""
    protocols: dict[str, Any] = json.loads((SHARED / "spec" / "protocols.json").read_text())
    seen = 0
    for part in ("train", "test", "extract_features"):
        for facts in protocols[part].values():
            if "flags" not in facts or not isinstance(facts["flags"], dict):
                continue
            source = facts.get("script") or facts["source"]
            words = [entry["command"] for entry in COMMANDS if entry["source"] == source][-1].split()
            given = dict(word[2:].replace("'", "").split("=", 1) for word in words[2:])
            for flag, value in facts["flags"].items():
                text = given[flag].replace("0,1,2,3,4,5,6,7", "0-7")
                text = text.rsplit("/", 1)[-1] if flag == "pretrained_model" else text
                assert text == str(value), (source, flag)
            seen += 1
    assert seen == 10
