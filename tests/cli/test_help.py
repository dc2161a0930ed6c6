"""--help of every command: an example that parses, a meaning for every flag, no default that says nothing."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from tests.tools.every_tool.test_original_flags import parser_of
from vmz.__main__ import commands

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = sorted(module.rpartition(".")[2] for module in commands().values() if not module.endswith(".legacy"))
WITH_COMMANDS = {"zoo"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_is_a_command_line(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = parser_of(command, monkeypatch)
    if command in WITH_COMMANDS:
        return
    text = str(parser.epilog)
    assert text.startswith("example: ") and text in parser.format_help()
    script, *flags = shlex.split(text.partition("example: ")[2])
    if script == "vmz":  # a command that the original had no script of
        assert flags.pop(0).replace("-", "_") == command
    else:
        assert (ROOT / script).is_file() and Path(script).stem == command
    required = {action.dest for action in parser._actions if action.required}
    assert parser.given_values(flags) and required <= set(parser.given_values(flags))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_explained(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = parser_of(command, monkeypatch)
    shown = parser.format_help()
    assert "default: None" not in shown and "default: []" not in shown and "--version" in shown
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        assert action.help, action.dest
        takes_value = action.nargs != 0 and not action.choices
        assert not takes_value or action.metavar, f"--{action.dest} has no metavar that says what it takes"


def test_the_versions_are_printed_without_other_flags(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = parser_of("create_video_db", monkeypatch)  # which has flags that it needs
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--version"])
    said = capsys.readouterr().out
    assert ended.value.code == 0 and said.startswith("vmz ") and "torch" in said and "FFmpeg" in said


def test_a_model_alone_has_no_settings_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done with videos is no property of a model that is written for other programs."""
    flags = {action.dest for action in parser_of("export", monkeypatch)._actions}
    assert {"crop_size", "audio_timestamps"} <= flags
    assert not flags & {"on_bad_video", "on_missing_audio", "video_timeout", "num_decode_threads", "test_data"}
