from __future__ import annotations

import signal
import sys

import pytest
import torch

from vmz.cli.shared import launch
from vmz.errors import UsageError, VmzError
from vmz.settings.engine import EngineSettings

SCRIPT = """
import os, signal, sys
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
open(f"{sys.argv[1]}/{os.environ['RANK']}", "w").write(" ".join(os.environ[name] for name in names))
if os.environ["RANK"] == sys.argv[2]:
    os.kill(os.getpid(), signal.SIGKILL) if sys.argv[3] == "die" else sys.exit(int(sys.argv[3]))
"""


def options(**given: object) -> EngineSettings:
    return EngineSettings.from_flags(given)


def run(tmp_path, *arguments: str) -> int:
    return launch.run_processes(2, [sys.executable, "-c", SCRIPT, str(tmp_path), *arguments])


def test_processes_know_each_other(tmp_path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert run(tmp_path, "none", "0") == 0
    assert [(tmp_path / str(rank)).read_text() for rank in range(2)] == ["0 0 2 2 127.0.0.1", "1 1 2 2 127.0.0.1"]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_the_exit_status_is_that_of_the_one_that_failed(tmp_path) -> None:
    assert run(tmp_path, "1", "3") == 3
    with pytest.raises(VmzError, match="process 0 of 2 was killed by SIGKILL") as caught:
        run(tmp_path, "0", "die")
    assert caught.value.exit_status == 137


def test_it_takes_a_gpu_for_each_process(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def run_processes(count: int, command: list[str]) -> int:
        seen.append((count, command[1:]))
        return 0

    monkeypatch.setattr(launch, "run_processes", run_processes)
    monkeypatch.setattr(sys, "argv", ["/tools/test_net.py", "--x"])
    for given, count in (
        ({"num_gpus": 2}, 2),
        ({"gpus": "0,1", "num_gpus": 1}, 2),
        ({"num_gpus": 2, "engine": "caffe2"}, 2),
    ):
        assert launch.launch(options(**given), ["--x"]) == 0
        assert seen.pop() == (count, ["/tools/test_net.py", "--x"])
    for one in (options(), options(num_gpus=0), options(num_gpus=1), options(gpus="1")):
        assert launch.launch(one, []) is None
    for too_many, named in (
        (options(num_gpus=3), "--num_gpus=3: PyTorch sees 2"),
        (options(gpus="0,4"), "--gpus=0,4: PyTorch"),
    ):
        with pytest.raises(UsageError, match=named):
            launch.launch(too_many, [])
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert launch.launch(options(num_gpus=2), []) is None and not seen
