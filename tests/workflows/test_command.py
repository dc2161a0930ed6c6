from __future__ import annotations

from collections.abc import Sequence

import pytest

from vmz.errors import UsageError, VmzError
from vmz.workflows.command import run_tool


def failing(error: BaseException):  # type: ignore[no-untyped-def]
    def main(argv: Sequence[str]) -> int:
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (VmzError("no such thing"), 1),
        (UsageError("no such flag"), 2),
        (RuntimeError("odd"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_an_error_is_one_line_and_a_status(
    error: BaseException, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_tool(failing(error), []) == status
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1
    assert "Traceback" not in captured.err


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(VmzError):
        run_tool(failing(VmzError("no such thing")), ["--debug"])
