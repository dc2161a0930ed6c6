"""Which of a run's processes this one is, by the variables of whatever started it. The one place that reads them.

Below everything else: the engines choose their device by it, the tools their share of the work.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Optional

from vmz.errors import PeerError, UsageError


class Launcher(NamedTuple):
    """What starts processes, and the variables that tell each its place; `local_...`: among those of its machine."""

    name: str
    world: str
    rank: str
    local_world: str
    local_rank: str


# The first whose `world` and `rank` are both set counts. torchrun is first: it may itself be started by one of the
# others, once a machine. Slurm's variables are those of a step (srun): a batch script has no step and is one process.
LAUNCHERS = (
    Launcher("torchrun", "WORLD_SIZE", "RANK", "LOCAL_WORLD_SIZE", "LOCAL_RANK"),
    Launcher(
        "Open MPI's mpirun",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
        "OMPI_COMM_WORLD_LOCAL_RANK",
    ),
    Launcher("Slurm's srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS_PER_NODE", "SLURM_LOCALID"),
    Launcher("mpiexec", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
)


def launcher() -> Optional[Launcher]:
    """What started this process as one of several, None where it is alone. UsageError for numbers that cannot be."""
    for known in LAUNCHERS:
        world, rank = _number(known.world), _number(known.rank)
        if world is None or rank is None:
            continue
        if not 0 <= rank < max(world, 1):
            raise UsageError(f"the environment has {known.rank}={rank} and {known.world}={world}; ranks begin at 0")
        return known if world > 1 else None
    return None


def world_size() -> int:
    """Processes of this run, on all machines."""
    found = launcher()
    return 1 if found is None else int(os.environ[found.world])


def rank() -> int:
    """Which of them this is. Number 0 speaks for all."""
    found = launcher()
    return 0 if found is None else int(os.environ[found.rank])


def local_rank(devices: int = 0) -> int:
    """Which of those on this machine this is.

    devices: GPUs of the machine. Where no variable says, processes are taken to fill machines of so many GPUs one after
    the other: they must not all take the first.
    """
    number = _local("local_rank")
    return number if number is not None else rank() % devices if devices else 0


def local_size() -> int:
    """Processes of this run on this machine; all of them where no variable says."""
    number = _local("local_world")
    return world_size() if number is None else number


def _local(field: str) -> Optional[int]:
    """The launcher's own variable, or else that of one that knows this process by the same rank: a script may set RANK
    from mpirun's variable, and leave LOCAL_RANK out."""
    found = launcher()
    if found is None:
        return 0 if field == "local_rank" else 1
    own = world_size(), rank()
    for known in LAUNCHERS:
        number = _number(getattr(known, field))
        if number is not None and (known is found or (_number(known.world), _number(known.rank)) == own):
            return number
    return None


def _number(variable: str) -> Optional[int]:
    text = os.environ.get(variable)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"the environment variable {variable} is {text!r}, which is not a number") from None


_waiting_since: Optional[float] = None
_stop: Optional[PeerError] = None


@contextmanager
def collective() -> Iterator[None]:
    """Around a call that returns only when all processes have made it too.

    Raises what `stop` was given instead of beginning one that another process will never join.
    """
    global _waiting_since
    if _stop is not None:
        raise _stop
    _waiting_since = time.monotonic()
    try:
        yield
    finally:
        _waiting_since = None


def waiting_since() -> Optional[float]:
    """When (time.monotonic) the collective began that this process is in; None where it is in none."""
    return _waiting_since


def stop(error: Optional[PeerError]) -> None:
    """Let no collective begin from now on, for another process has failed; None: let them."""
    global _stop
    _stop = error
