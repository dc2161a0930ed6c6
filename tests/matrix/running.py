"""The tools' real command lines inside this process, which saves the seconds that an interpreter takes to start.

`python -m torch.distributed.run ... -m tests.matrix.running JOBS` does many of them in several processes.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

from tests.goldens.e2e import TOOLS
from tests.support.processes import ONE_THREAD, python
from tests.support.threads import on_one_thread
from vmz.cli.shared.running import run_tool
from vmz.engines.caffe2_engine import engine as caffe2_engine
from vmz.engines.caffe2_engine import trainer as caffe2_trainer
from vmz.processes import group
from vmz.training import run as training_run

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Answer:
    """What a command gave; of several processes, of all of them together."""

    status: int
    output: str
    errors: str


@dataclass(frozen=True)
class Call:
    """A command line as it is run."""

    tool: str
    arguments: tuple[str, ...]
    stop_after: int = 0
    as_gpus: bool = False


def run(call: Call) -> Answer:
    """Call a tool as its script does."""
    output, errors = io.StringIO(), io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", [str(_path(call.tool)), *call.arguments]))
        stack.enter_context(redirect_stdout(output))
        stack.enter_context(redirect_stderr(errors))
        stack.enter_context(on_one_thread())
        if call.stop_after:
            stack.enter_context(_stopping_after(call.stop_after))
        if call.as_gpus:
            stack.enter_context(_cpus_as_gpus())
        try:
            status = run_tool(_work(call.tool), list(call.arguments), several=_processes() > 1)
        except SystemExit as done:  # --help
            status = int(done.code or 0)
    return Answer(status, output.getvalue(), errors.getvalue())


def run_together(calls: Sequence[Call], folder: Path, processes: int = 2) -> list[Answer]:
    """The same in so many processes of torchrun, one call after the other."""
    (folder / "calls.json").write_text(json.dumps([asdict(call) for call in calls]))
    command = [*python(processes), "-m", "tests.matrix.running", str(folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=ONE_THREAD, capture_output=True, text=True, check=False, timeout=600 + 60 * len(calls)
    )
    answers = []
    for number in range(len(calls)):
        paths = [folder / f"{number}.{rank}.json" for rank in range(processes)]
        if not all(path.exists() for path in paths):
            answers.append(Answer(-1, done.stdout, done.stderr))
            continue
        parts = [json.loads(path.read_text()) for path in paths]
        statuses = {part["status"] for part in parts}
        answers.append(
            Answer(
                statuses.pop() if len(statuses) == 1 else -1,
                "".join(part["output"] for part in parts),
                "".join(part["errors"] for part in parts),
            )
        )
    return answers


def _path(tool: str) -> Path:
    return TOOLS / f"{tool}.py"


@cache
def _work(tool: str) -> Callable[[Sequence[str]], int]:
    return importlib.import_module(f"vmz.cli.{tool}").work  # type: ignore[no-any-return]


@contextmanager
def _stopping_after(iteration: int) -> Iterator[None]:
    """SIGTERM after so many iterations, to the last of the processes alone."""
    opened = training_run.open_trainer

    def opening(*arguments: Any) -> Any:
        trainer = opened(*arguments)
        step = trainer.step

        def stepping(*arguments: Any, **named: Any) -> Any:
            found = step(*arguments, **named)
            if found.iteration == iteration and os.environ.get("RANK", "0") == str(_processes() - 1):
                os.kill(os.getpid(), signal.SIGTERM)
            return found

        trainer.step = stepping  # type: ignore[method-assign]
        return trainer

    with mock.patch.object(training_run, "open_trainer", opening):
        yield


@contextmanager
def _cpus_as_gpus() -> Iterator[None]:
    """--num_gpus=2 on a machine without a GPU: Caffe2 puts each one's part on a CPU device of its own."""
    device_options, parse_device = caffe2_trainer._device_options, caffe2_engine.parse_device
    with (
        mock.patch.object(caffe2_trainer, "_device_options", lambda devices: device_options(["cpu"] * len(devices))),
        mock.patch.object(caffe2_engine, "parse_device", lambda device: parse_device("cpu")),
    ):
        yield


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _run_calls(folder: Path) -> None:
    """All calls, as one of the processes of torchrun.

    They share one connection to its store: the store of PyTorch 1.10 may lose a connection when another one ends.
    """
    from torch.distributed import PrefixStore

    rank, store = os.environ["RANK"], group._store()
    for number, call in enumerate(json.loads((folder / "calls.json").read_text())):
        call["arguments"] = tuple(call["arguments"])
        with mock.patch.object(group, "_store", lambda number=number: PrefixStore(f"call_{number}", store)):
            answer = run(Call(**call))
        (folder / f"{number}.{rank}.json").write_text(json.dumps(asdict(answer)))


if __name__ == "__main__":
    _run_calls(Path(sys.argv[1]))
