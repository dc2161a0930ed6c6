"""What programs for Caffe2 find around them: a check that it is there, loggers that print, our operators."""

from __future__ import annotations

import logging
from typing import Any

from vmz.engines.caffe2_engine.here import NoCaffe2Error, check_caffe2, where_caffe2_is
from vmz.engines.caffe2_engine.workspace import load_operators
from vmz.errors import UsageError
from vmz.netdef.net_parts import VIDEO_INPUT


class NoCaffe2ToImportError(UsageError, ImportError):
    """The original's modules cannot be imported in this Python."""


def need_caffe2() -> None:
    """Raise NoCaffe2ToImportError where this Python has no Caffe2."""
    try:
        check_caffe2()
    except NoCaffe2Error as error:
        raise NoCaffe2ToImportError(
            f"the original's modules models and utils need Caffe2, which this Python does not have; {where_caffe2_is()}"
        ) from error


def program_logger(name: str) -> Any:
    """A logger that prints what it is told at INFO, as those of the original do: its programs rely on that."""
    logging.basicConfig()
    log = logging.getLogger(name)
    log.setLevel(logging.INFO)
    return log


def need_operators() -> None:
    """Register our operators with Caffe2, unless the program has brought a VideoInput of its own."""
    from caffe2.python import core

    if not core.IsOperator(VIDEO_INPUT):
        load_operators()


def has_gpu() -> bool:
    """Whether Caffe2 can use a GPU here."""
    from caffe2.python import workspace

    return bool(workspace.has_gpu_support) and workspace.NumGpuDevices() > 0
