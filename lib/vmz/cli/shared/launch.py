"""--num_gpus=N as the original means it: the same command once more, N times, by torchrun's machinery."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Optional

from vmz.cores import OMP, available_cores
from vmz.errors import UsageError, VmzError
from vmz.processes import identity
from vmz.settings.engine import EngineSettings, gpu_numbers
from vmz.text import counted


def launch(settings: EngineSettings, argv: Sequence[str]) -> Optional[int]:
    """Run this tool, with arguments `argv`, in one process for each GPU that --gpus or --num_gpus asks for.

    Returns the exit status, or None where this process is to do the work: for one device, and in a process that
    torchrun started. Raises UsageError where there are fewer GPUs.
    """
    gpus = gpu_numbers(settings)
    if gpus is None or len(gpus) < 2 or identity.world_size() > 1:
        return None
    import torch

    here = torch.cuda.device_count()
    if max(gpus) >= here:
        asked = f"--gpus={settings.gpus}" if settings.gpus is not None else f"--num_gpus={settings.num_gpus}"
        raise UsageError(f"{asked}: PyTorch sees {here} CUDA devices here; ask for those, or --num_gpus=0 for the CPU")
    return run_processes(len(gpus), [*this_command(), *argv])


def this_command() -> list[str]:
    """What starts this tool once more: its script, or `vmz COMMAND`."""
    if sys.argv[0].startswith("vmz "):
        return [sys.executable, "-m", *sys.argv[0].split()]
    return [sys.executable, os.path.abspath(sys.argv[0])]


def free_port() -> int:
    """A TCP port of this machine that nothing has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def run_processes(count: int, command: Sequence[str]) -> int:
    """Run a command `count` times on this machine, as one torchrun would; the exit status is the first failure's.

    The processes share the cores, unless OMP_NUM_THREADS says how many threads each has. Raises VmzError where the one
    that failed first was killed.
    """
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    port = free_port()
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="vmz",
        rdzv_backend="static",
        rdzv_endpoint=f"127.0.0.1:{port}",
        rdzv_configs={"rank": 0, "timeout": 900},
        max_restarts=0,
        monitor_interval=0.1,
    )
    logging.disable(logging.CRITICAL)  # the processes speak for themselves
    try:
        with _own_signals(), _shared_cores(count):
            elastic_launch(config, command[0])(*command[1:])
    except ChildFailedError as failed:
        number, failure = failed.get_first_failure()
        if failure.exitcode >= 0:
            return int(failure.exitcode)
        name = signal.Signals(-failure.exitcode).name
        error = VmzError(f"process {number} of {count} was killed by {name}; perhaps the system ran out of memory")
        error.exit_status = 128 - failure.exitcode
        raise error from failed
    except SignalException as stopped:
        return 128 + int(stopped.sigval)
    finally:
        logging.disable(logging.NOTSET)
    return 0


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back the signals for which torchrun installs handlers of its own, and leaves them installed."""
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # not of Python
                signal.signal(number, handler)


@contextmanager
def _shared_cores(count: int) -> Iterator[None]:
    """Give each process its share of the cores, and say so: by itself each would compute with all of them."""
    given, cores = os.environ.get(OMP), available_cores()
    threads = given if given is not None else str(max(1, cores // count))
    why = f"set by {OMP}" if given is not None else f"{counted(cores, 'core')}; {OMP} sets another number"
    print(f"{counted(count, 'process')}, {threads} computing threads each ({why})", file=sys.stderr, flush=True)
    os.environ[OMP] = threads
    try:
        yield
    finally:
        if given is None:
            del os.environ[OMP]
