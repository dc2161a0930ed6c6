"""`vmz COMMAND` is the script of tools/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vmz import __main__ as command

TOOLS = Path(__file__).resolve().parents[1] / "tools"


def vmz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vmz", *arguments], capture_output=True, text=True, timeout=120)


def test_every_tool_is_a_command() -> None:
    scripts = {path.stem for path in TOOLS.glob("*.py") if not path.name.startswith("_")}
    assert {name.replace("-", "_") for name in command.commands()} == scripts
    done = vmz("--help")
    assert done.returncode == 0 and all(name in done.stdout for name in command.commands())
    assert done.stdout == vmz().stdout


@pytest.mark.parametrize("name", ["print-net", "print_net"])
def test_a_command_runs_as_the_script_does(name: str) -> None:
    flags = ["--model_depth=10", "--num_labels=3"]
    done = vmz(name, *flags)
    script = subprocess.run([sys.executable, str(TOOLS / "print_net.py"), *flags], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, script.stdout)
    wrong = vmz(name, "--model_nam3=x")
    assert wrong.returncode == 2 and wrong.stderr.endswith("see print_net.py --help\n")


def test_what_is_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    done = vmz("prnt-net")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(
        "error: unknown command 'prnt-net'; did you mean print-net? choose from: aggregate-scores"
    )
    monkeypatch.setattr(command, "TOOLS", tmp_path / "tools")
    assert command.main(["test-net"]) == 2
    assert "no command 'test-net': the tools are scripts of VMZ's repository" in capsys.readouterr().err
