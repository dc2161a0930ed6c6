"""`vmz COMMAND` is the script of tools/."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vmz import __main__ as command

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / "tools"
WITHOUT_A_SCRIPT = {"convert", "export", "finetune", "legacy", "predict", "serve"}


def vmz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vmz", *arguments], capture_output=True, text=True, timeout=120)


def test_every_tool_is_a_command() -> None:
    scripts = {path.stem for folder in (TOOLS, ROOT / "data") for path in folder.glob("[!_]*.py")}
    assert {name.replace("-", "_") for name in command.commands()} == {*scripts, *WITHOUT_A_SCRIPT}
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
    assert wrong.returncode == 2 and wrong.stderr.endswith("see vmz print-net --help\n")


def test_what_is_no_command() -> None:
    done = vmz("prnt-net")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(
        "error: unknown command 'prnt-net'; did you mean print-net? choose from: aggregate-scores"
    )


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what pip installs of the clone, which is nowhere near it."""
    clone, target = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("installed")
    for name in ("lib", "models_zoo"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pkl"))
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--target"]
    done = subprocess.run([*pip, target, clone], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


@pytest.mark.long
def test_an_installation_has_the_commands_and_the_zoo(installation: Path, tmp_path: Path) -> None:
    def installed(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(installation)}
        run = [sys.executable, *arguments]
        done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    place = installed("-c", "import vmz; print(vmz.__file__)")
    assert place.strip() == str(installation / "vmz" / "__init__.py")
    shown = installed("-m", "vmz", "--help")
    assert shown == vmz("--help").stdout
    for name in ("convert-net", "test-net"):
        assert "usage: " in installed("-m", "vmz", name, "--help")
    assert installed("-m", "vmz", "zoo", "list") == vmz("zoo", "list").stdout
    assert "model_builder.py" in {file.name for file in (installation / "vmz" / "legacy" / "original").rglob("*.py")}


def test_help_may_be_cut_off_by_its_reader() -> None:
    command = f"{sys.executable} -m vmz --help | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.startswith("usage: vmz COMMAND") and done.stderr == ""
