from __future__ import annotations

from datetime import datetime, timezone

import pytest

from vmz import invocation
from vmz.cli.shared.running import run_tool
from vmz.invocation import Invocation, command_line


@pytest.mark.parametrize(
    ("program", "arguments", "line"),
    [
        ("tools/test_net.py", ["--test_data=my videos"], "python tools/test_net.py '--test_data=my videos'"),
        ("vmz predict", ["../a b.mp4", "--zoo", "x"], "vmz predict '../a b.mp4' --zoo x"),
        ("/x/vmz/__main__.py", [], "python -m vmz"),
    ],
)
def test_a_line_that_a_shell_takes_with_paths_as_given(program: str, arguments: list[str], line: str) -> None:
    assert command_line(program, arguments) == line


@pytest.mark.parametrize(
    "argument",
    [
        "--mirror=https://me:hidden@host/x", "--token=hidden", "--hf_token=hidden", "--api-key=hidden",
        "https://host/a?signature=hidden&b=1", "--PASSWORD=hidden", "https://hidden@host/x",
        "--url=https://h/?token=hidden",
    ],
)  # fmt: skip
def test_secrets_are_left_out(argument: str) -> None:
    line = command_line("vmz predict", [argument, "--zoo=keeps"])
    assert "hidden" not in line and invocation.SECRET in line and "--zoo=keeps" in line


def test_a_secret_that_stands_apart_is_left_out_too() -> None:
    assert "hidden" not in command_line("vmz fetch", ["--token", "hidden", "x"])
    assert command_line("vmz fetch", ["--token", "--zoo", "x"]) == "vmz fetch --token --zoo x"


def test_a_tool_notes_how_it_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_now", None)
    assert invocation.current().command is None
    seen: list[Invocation] = []

    def work(argv: object) -> int:
        seen.append(invocation.current())
        return 0

    work.__module__ = "vmz.cli.test_net"
    assert run_tool(work, ["--top_k=1"]) == 0
    assert seen[0].command == "vmz test-net --top_k=1"
    assert Invocation(None, datetime(2026, 11, 7, 4, 2, tzinfo=timezone.utc)).date == "7 November 2026, 04:02 UTC"
