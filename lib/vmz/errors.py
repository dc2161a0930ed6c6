"""The errors a person sees: each is one sentence that names the thing, what was expected and what to do."""

from __future__ import annotations

import re


class VmzError(Exception):
    """Something failed. Tools print the message on one line and end with `exit_status`.

    already_reported: another process of the same run prints it.
    """

    exit_status = 1
    already_reported = False


class UsageError(VmzError):
    """The request itself is wrong: a flag, a model name, an argument out of range."""

    exit_status = 2


class VideoError(VmzError):
    """A video that cannot be scored: it cannot be read, or is too short. The message names it."""


class PeerError(VmzError):
    """This process fails because another one of the run has: the cause is there, and printed there."""


class LabelError(VmzError):
    """A record has a label that the network lacks."""


def is_lack_of_memory(error: BaseException) -> bool:
    """Python's, numpy's and PyTorch's errors of an allocation that failed, on the CPU or a GPU."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and re.search("can't allocate memory|out of memory", str(error)) is not None
    )
