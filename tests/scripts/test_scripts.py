"""The scripts as files: they can be started as the documents say, and say what they lack."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(
    path
    for folder in ("tools", "data", "scripts", "scripts/demo")
    for path in (ROOT / folder).glob("*.py")
    if not path.name.startswith("_")
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_can_be_executed(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env python3\n")
    assert os.access(path, os.X_OK), f"chmod +x {path}"


@pytest.mark.parametrize("script", ["tools/test_net.py", "data/create_video_db.py", "scripts/recipe.py"])
def test_a_script_runs_by_its_name(script: str) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [f"./{script}", "--help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--" in done.stdout


@pytest.mark.parametrize("script", ["tools/test_net.py", "data/create_video_db.py", "scripts/recipe.py"])
def test_a_python_without_packages_is_told_what_to_run(script: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", script, "--list_file", "my list.csv"]  # -S: no site-packages
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and "it has no torch, numpy" in done.stderr
    if (ROOT / ".venv").exists():
        assert done.stderr.endswith(f"run: .venv/bin/python {script} --list_file 'my list.csv'\n")


def test_what_scripts_look_for_is_what_the_project_depends_on() -> None:
    import _find_vmz

    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^dependencies = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    names = {"protobuf": "google.protobuf"}
    wanted = re.findall(r'^ *"([\w-]+)', listed, re.MULTILINE)
    assert wanted and set(_find_vmz.PACKAGES) == {names.get(name, name) for name in wanted}
