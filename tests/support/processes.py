"""Tools as a user starts them: alone or several together by torchrun, on one thread each, and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.goldens.e2e import TOOLS
from vmz.cli.shared.launch import free_port

ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def python(processes: int = 0) -> list[str]:
    """The interpreter, before a script: by itself (0), or torchrun's so many processes of it.

    At a port of its own, which --standalone of PyTorch 1.10 is not; nor does that one always come to its end, for two
    of its threads use one store.
    """
    if not processes:
        return [sys.executable]
    place = ["--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc_per_node={processes}", *place]


def run_processes(processes: int, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*python(processes), str(TOOLS / tool), *arguments],
        env=ONE_THREAD,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def start_processes(processes: int, tool: str, *arguments: str) -> subprocess.Popen[bytes]:
    """In the background, silent."""
    command = [*python(processes), str(TOOLS / tool), *arguments]
    return subprocess.Popen(command, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to it and to torchrun's processes, which are in sessions of their own."""
    for one in [*_children(process.pid), process.pid]:
        os.kill(one, signal.SIGKILL)
    process.wait()


def _children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.name))
        except OSError:  # it has ended meanwhile
            continue
    return found
