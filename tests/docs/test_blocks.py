"""Every block of code in README.md and docs/*.md runs as it is written, or says why not: see blocks.py."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import prepared
from tests.docs.blocks import MAKE, REASONS, ROOT, Block, all_blocks, blocks_of, documents, indented_commands

CODE = [block for block in all_blocks() if block.is_code]
RUN = [block for block in CODE if not block.not_run and not block.is_left_to_make()]
NOT_RUN = [block for block in CODE if block.not_run]
FAST_LIMIT_S, SLOW_LIMIT_S = 300, 900  # seconds, on a busy machine


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared.prepare(tmp_path_factory.mktemp("reader"))


def case(block: Block) -> object:
    marks = []
    if block.slow:
        marks = [pytest.mark.slow]
    elif block.path != ROOT / "README.md":  # these take minutes together: CI runs them
        marks = [pytest.mark.long]
    return pytest.param(block, id=block.name, marks=marks)


@pytest.mark.long
@pytest.mark.parametrize("block", [case(block) for block in RUN])
def test_a_block_runs_as_it_is_written(block: Block, folder: Path, tmp_path: Path) -> None:
    python = prepared.interpreter(block)
    if not Path(python).exists():
        pytest.skip("on real Caffe2, and there is no .venv-caffe2: make setup-caffe2")
    here = tmp_path / "here"
    shutil.copytree(folder, here, symlinks=True)
    prepared.remove_outputs(here, block)
    prepared.add_published_weights(here, block)
    prepared.add_large_weights(here, block)
    path = f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"
    cache = str(prepared.fill_cache(here, block))
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT / "lib"), "VMZ_CACHE": cache, "VMZ_OFFLINE": "1"}
    limit = SLOW_LIMIT_S if block.slow else FAST_LIMIT_S
    ran = subprocess.run(
        prepared.arguments(block), cwd=here, env=environment, capture_output=True, text=True, check=False, timeout=limit
    )
    assert ran.returncode == 0, f"{block.name} fails as it is written:\n{ran.stdout[-1500:]}\n{ran.stderr[-3000:]}"


def test_what_is_not_run_has_a_reason() -> None:
    for block in NOT_RUN:
        assert block.not_run in REASONS, f"{block.name}: '{block.not_run}' is none of {', '.join(REASONS)}"
    assert len(NOT_RUN) <= 8 and len(NOT_RUN) < len(RUN) / 2, [block.name for block in NOT_RUN]


def test_what_is_left_to_make_is_what_the_readme_says() -> None:
    left = {command for block in CODE if block.is_left_to_make() for command in block.commands()}
    assert left <= set(MAKE)
    assert {block.path.name for block in CODE if block.is_left_to_make()} <= {"README.md"}
    targets = (ROOT / "Makefile").read_text()
    for command in left:
        if command.startswith("make "):
            assert re.search(rf"(?m)^{command.split()[1]}:", targets), command


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.name)
def test_no_command_stands_outside_a_fence(path: Path) -> None:
    assert indented_commands(path) == []


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in CODE])
def test_a_block_is_whole(block: Block) -> None:
    assert "..." not in re.sub(r"#.*", "", block.text), f"{block.name}: three dots cannot be run"


def test_the_flags_of_what_is_not_run_exist() -> None:
    commands = {block.name: "\n".join(block.commands()) for block in NOT_RUN}
    commands["docker/README.md"] = re.sub(r"\\\n\s*", "", (ROOT / "docker" / "README.md").read_text())
    for name, text in commands.items():
        for script, flags in re.findall(r"((?:tools|data)/\w+\.py)((?: --?\w\S*| [\w./]+)*)", text):
            unknown = set(re.findall(r"--\w+", flags)) - flags_of(script)
            assert not unknown, f"{name}: {script} has no {', '.join(sorted(unknown))}"


@functools.cache
def flags_of(script: str) -> set[str]:
    command = [sys.executable, str(ROOT / script), "--help"]
    return set(re.findall(r"--\w+", subprocess.run(command, capture_output=True, text=True, check=True).stdout))


DOCUMENT = """\
text

<!-- not run: needs a GPU -->
```sh
python tools/test_net.py \\
    --gpus=0  # here
```
- item
  ```python
  print(1)
  ```
```
org_video,label
```
<!-- slow -->
```
python a.py
```
    python b.py
"""


def test_blocks_are_read_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(DOCUMENT)
    shell, python, table, slow = blocks_of(path)
    assert (shell.line, shell.language, shell.not_run, shell.slow) == (4, "sh", "needs a GPU", False)
    assert shell.commands() == ["python tools/test_net.py --gpus=0  # here"]
    assert (python.language, python.text) == ("python", "print(1)\n")
    assert (table.language, table.is_code) == ("text", False)
    assert (slow.language, slow.slow, slow.not_run) == ("sh", True, "")
    assert indented_commands(path) == ["a.md:19"]


def test_a_fence_that_is_never_closed(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("```sh\npython a.py\n")
    with pytest.raises(ValueError, match=r"a.md:1: this fence is never closed"):
        blocks_of(tmp_path / "a.md")
