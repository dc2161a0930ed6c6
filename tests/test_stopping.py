"""Ctrl-C and SIGTERM in real processes of tools, from their first moments on: a status, one line, nothing left."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.e2e import TOOLS
from tests.support.processes import ONE_THREAD
from tests.support.small_videos import database, video
from vmz.stopping import held_back

LINES = {signal.SIGINT: "interrupted\n", signal.SIGTERM: "stopped by SIGTERM\n"}
# How many moments, from the first at which a script can answer to two seconds later.
MOMENTS = [4, pytest.param(21, marks=pytest.mark.slow)]
EXTRACT = [
    "--model_name=r2plus1d", "--model_depth=10", "--channel_multiplier=0.1", "--num_labels=5", "--crop_size=112",
    "--scale_h=112", "--scale_w=120", "--num_gpus=0", "--batch_size=2", "--random_weights=1", "--decode_type=1",
    "--features=softmax", "--clip_per_video=40",
]  # fmt: skip


def catches(pid: int, number: int) -> bool:
    """Whether the process has a handler for the signal: Python has none for SIGTERM of its own."""
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (number - 1) & 1)


def stop_at(delay: float, number: signal.Signals, tool: str, arguments: Sequence[str], cwd: Path) -> tuple[int, str]:
    """Start a tool and send it a signal so many seconds after it listens; its status and what it says."""
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / tool), *arguments],
        cwd=cwd, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    while not catches(process.pid, signal.SIGTERM):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(number)
    return process.wait(timeout=60), process.communicate()[1]


@pytest.mark.long
@pytest.mark.parametrize("number", LINES, ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("steps", MOMENTS)
def test_a_database_in_progress(steps: int, number: signal.Signals, tmp_path: Path) -> None:
    video(tmp_path / "0.mp4", 0)
    (tmp_path / "list.csv").write_text("org_video,label\n" + "0.mp4,1\n" * 60000)
    arguments = ["--list_file=list.csv", "--output_file=db"]
    for step in range(steps):
        status, errors = stop_at(step * 2 / (steps - 1), number, "../data/create_video_db.py", arguments, tmp_path)
        assert status == 128 + number and errors.endswith(LINES[number]) and "Traceback" not in errors, (step, errors)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "list.csv"], step


@pytest.mark.long
@pytest.mark.parametrize("number", LINES, ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", MOMENTS)
def test_an_engine_on_its_way(steps: int, engine: str, number: signal.Signals, tmp_path: Path) -> None:
    """Also while Caffe2 is imported, which makes an error of its own of Ctrl-C."""
    path = database(tmp_path, 40)
    before = {path.name for path in tmp_path.iterdir()}
    arguments = [*EXTRACT, f"--engine={engine}", f"--test_data={path}", f"--output_path={tmp_path / 'out.npz'}"]
    for step in range(steps):
        status, errors = stop_at(step * 2 / (steps - 1), number, "extract_features.py", arguments, tmp_path)
        assert status == 128 + number and errors.endswith(LINES[number]) and "Traceback" not in errors, (step, errors)
        assert {path.name for path in tmp_path.iterdir()} - before <= {"out.npz.parts"}, step  # what is done stays


PROGRAM = """
import ctypes, signal, sys, threading, time
from vmz import stopping
from vmz.files import temporary_beside
from vmz.cli.shared.running import run_tool
from pathlib import Path
stopping.GRACE_SECONDS = 0.5

def main(argv):
    temporary_beside(Path(argv[1]))
    print("ready", flush=True)
    if argv[0] == "in_c":  # that does not come back at a signal
        while True:
            ctypes.CDLL(None).usleep(600000)
            signal.pthread_sigmask(signal.SIG_BLOCK, ())
    if argv[0] == "in_a_thread":
        thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)
        thread.start()
        thread.join()
    if argv[0] == "in_a_destructor":
        class Slow:
            def __del__(self):
                time.sleep(1)
        Slow()
        time.sleep(60)
    if argv[0] == "as_another_error":
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            raise ImportError("a library's own") from None

if __name__ == "__main__":
    sys.exit(run_tool(main))
"""


@pytest.mark.parametrize("number", LINES, ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("where", ["in_c", "in_a_thread", "in_a_destructor", "as_another_error"])
def test_wherever_the_main_thread_is(where: str, number: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.replace("while True", "for _ in range(100)"), where, str(tmp_path / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (128 + number, LINES[number])
    assert list(tmp_path.iterdir()) == []


def test_signals_that_are_ignored_stay_ignored(tmp_path: Path) -> None:
    """nohup, and a shell's background processes."""
    process = subprocess.Popen(
        [sys.executable, str(TOOLS / "zoo.py"), "list"], stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert process.returncode == 0


def test_what_is_held_back_comes_afterwards() -> None:
    met = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: met.append(number))
    try:
        with held_back():
            pass
        assert not met
    finally:
        signal.signal(signal.SIGTERM, before)
