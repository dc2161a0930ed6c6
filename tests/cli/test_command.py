from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from vmz import stopping
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import UsageError, VmzError


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


@pytest.fixture
def before_and_after() -> Iterator[None]:
    """What a run leaves behind acts on those after it in this process: a thread ended a later one after ten seconds."""

    def found() -> list[object]:
        wakeup = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(wakeup)
        watching = [thread for thread in threading.enumerate() if thread.name == "vmz-signals"]
        return [*map(signal.getsignal, stopping.SIGNALS), wakeup, watching]

    of_the_caller = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
    before = found()
    try:
        yield
        assert found() == before
    finally:
        signal.signal(signal.SIGINT, of_the_caller)


@pytest.mark.parametrize("moment", ["begin", "end"])
def test_a_signal_just_before_the_work_or_after_it(
    moment: str, before_and_after: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = getattr(stopping._Watch, moment)

    def interrupted(*arguments: object) -> None:
        known(*arguments)
        signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt  # at the end signals are held off: one that came just before

    monkeypatch.setattr(stopping._Watch, moment, interrupted)
    assert run_tool(lambda argv: 0, []) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("moment", [("set_wakeup_fd", 1), ("signal", 1), ("signal", 3), ("signal", 4)])
def test_a_signal_as_they_are_handled_or_no_more(
    moment: tuple[str, int],
    before_and_after: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As the thread hears of them, as the first is handled, and as the first and the second are ignored at the end."""
    name, number = moment
    known, calls = getattr(signal, name), itertools.count(1)

    def interrupted(*arguments: Any, **more: Any) -> Any:
        found = known(*arguments, **more)
        if next(calls) == number:
            stopping._raise(signal.SIGINT, None)
        return found

    monkeypatch.setattr(signal, name, interrupted)
    assert run_tool(lambda argv: 0, []) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(VmzError):
        run_tool(failing(VmzError("no such thing")), ["--debug"])


def small_parser() -> Parser:
    parser = Parser("A tool.", prog="test_net.py")
    parser.add_argument("--model_name", default="r2plus1d")
    parser.add_argument("--model_depth", type=int, default=18)
    parser.add_argument("--test_data")
    parser.add_argument("--test_every", type=int, default=1)  # not the original's
    parser.add_argument("--test_num_iter", type=int, default=1)  # nor this
    parser.add_argument("--num_iterations", type=int, default=-1)
    parser.add_argument("--engine", choices=("pytorch", "caffe2"), default="pytorch")
    parser.add_argument("--videos", nargs="+", action="extend")
    parser.add_argument("--dry_run", action="store_true")
    return parser


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--model_n", "c3d"], {"model_name": "c3d"}),
        (["--model_d=34", "--eng=caffe2"], {"model_depth": 34, "engine": "caffe2"}),
        (["--test", "lmdb"], {"test_data": "lmdb"}),  # as in the original, though --test_every begins so too
        (["--test_e", "3", "--dry"], {"test_every": 3, "dry_run": True}),
        (["--num_iterations", "-1"], {"num_iterations": -1}),
        (["--videos", "-x.mp4"], {"videos": ["-x.mp4"]}),
        (["--videos=-x.mp4", "--dry_run"], {"videos": ["-x.mp4"], "dry_run": True}),
        (
            ["--vid", "a.mp4", "-b.mp4", "c.mp4", "--model_depth", "34"],
            {"videos": ["a.mp4", "-b.mp4", "c.mp4"], "model_depth": 34},
        ),
        (["--videos", "a", "--videos=b=c"], {"videos": ["a", "b=c"]}),
        (["--model_name", "-"], {"model_name": "-"}),
    ],
)
def test_flags_may_be_abbreviated_and_values_may_begin_with_a_dash(
    argv: list[str], expected: dict[str, object]
) -> None:
    parser = small_parser()
    options = vars(parser.parse_args(argv))
    assert options == {**vars(parser.parse_args([])), **expected}
    assert parser.given(argv) == set(expected)


def test_given_is_what_the_arguments_hold_even_where_it_is_the_default() -> None:
    parser = small_parser()
    assert parser.given(["--model_dep", "18"]) == {"model_depth"}
    assert parser.given([]) == set()
    assert parser.given_values(["--model_dep", "18", "--help"]) == {"model_depth": 18}
    assert parser.parse_args([]).model_depth == 18  # the defaults are there again


def test_given_needs_no_required_flag() -> None:
    parser = small_parser()
    parser.add_argument("--list_file", required=True)
    assert parser.given(["--dry_run"]) == {"dry_run"}
    with pytest.raises(UsageError, match="required: --list_file"):
        parser.parse_args(["--dry_run"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--model_nam2", "x"], "unknown flag --model_nam2; did you mean --model_name?"),
        (["--model-name=x"], "unknown flag --model-name; did you mean --model_name?"),
        (["-model_name", "x"], "unknown flag -model_name; did you mean --model_name?"),
        (["--Model_Depth=3"], "unknown flag --Model_Depth; did you mean --model_depth?"),
        (["--zzz"], "unknown flag --zzz; see "),
        (["--num_itre=3"], "unknown flag --num_itre; did you mean --num_iterations?"),
        (["lmdb"], "unexpected argument 'lmdb': a flag begins with --"),
        (["--model", "x"], "--model is ambiguous: it may be --model_depth or --model_name"),
        (["--engine=pytroch"], "unknown --engine 'pytroch'; did you mean pytorch? choose from: pytorch, caffe2"),
        (["--engine=Caffe2"], "did you mean caffe2?"),
        (["--engine=x"], "unknown --engine 'x'; choose from: pytorch, caffe2"),
        (["--model_depth=x"], "--model_depth: invalid int value: 'x'"),
        (["--videos"], "--videos: expected at least one argument"),
        (["--model_name", "--dry_run"], "--model_name: expected one argument"),
    ],
)
def test_what_is_mistyped_gets_a_suggestion(argv: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        small_parser().parse_args(argv)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_flags_of_commands_get_suggestions_too() -> None:
    parser = Parser("Tools.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("show", description="One.").add_argument("--model_name")
    assert parser.parse_args(["show", "--model", "c3d"]).model_name == "c3d"
    with pytest.raises(UsageError, match=r"unknown flag --modl_name; did you mean --model_name\?"):
        parser.parse_args(["show", "--modl_name=c3d"])
    with pytest.raises(UsageError, match=r"unknown command 'sho'; did you mean show\?"):
        parser.parse_args(["sho"])
    parser = Parser("Tools.", prog="tool.py")
    command = parser.add_subparsers(dest="command", required=True).add_parser("run", description="One.")
    command.add_argument("--data_dir", required=True)
    with pytest.raises(
        UsageError, match=r"^unknown flag --data_dirr; did you mean --data_dir\? see tool.py run --help$"
    ):
        parser.parse_args(["run", "--data_dirr=3"])


def test_a_former_name_is_taken_for_todays() -> None:
    parser = small_parser()
    parser.add_argument("--is_checkpoint", type=int, default=1)
    parser.add_former_name("pretrained_model", "model_name", "before", is_checkpoint="0")
    for argv in (
        ["--pretrained_model", "a.pkl"],
        ["--pretr=a.pkl", "--is_checkpoint", "0"],
        ["--pretr=a.pkl", "--model_name=a.pkl"],
    ):
        options = parser.parse_args(argv)
        assert (options.model_name, options.is_checkpoint) == ("a.pkl", 0)
        assert not hasattr(options, "pretrained_model")
        assert parser.given(argv) == {"model_name", "is_checkpoint"}
    for more in ("--model_name=b.pkl", "--is_checkpoint=1"):
        with pytest.raises(UsageError, match=f"but {more} is given too"):
            parser.parse_args(["--pretrained_model=a.pkl", more])
    with pytest.raises(UsageError, match="--pretrained_model: expected one argument"):
        parser.parse_args(["--pretrained_model"])
