"""The errors a person sees: each is one sentence that names the thing, what was expected and what to do."""

from __future__ import annotations


class VmzError(Exception):
    """Something failed. Tools print the message on one line and end with `exit_status`.

    already_reported: another process of the same run prints it.
    """

    exit_status = 1
    already_reported = False


class UsageError(VmzError):
    """The request itself is wrong: a flag, a model name, an argument out of range."""

    exit_status = 2


class PeerError(VmzError):
    """This process fails because another one of the run has: the cause is there, and printed there."""


class LabelError(VmzError):
    """A record has a label that the network lacks."""
