"""`vmz serve` as a command: what it prints, how it ends, and what it says of wrong requests."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.engines.real_caffe2 import needs_operators
from tests.serve.running import NAME, ask, weights
from tests.support.small_videos import video
from vmz.cli import serve
from vmz.errors import UsageError
from vmz.files import private_folder


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights(tmp_path_factory.mktemp("weights"))


@contextmanager
def started(model: Sequence[str], folder: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """(process, address) of a server that listens; model: the flags of it. TMPDIR is `folder`."""
    command = [sys.executable, "-m", "vmz", "serve", *model, "--num_gpus=0", *flags]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a run in the background ignores it
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"serving at (http://\S+/) ; Ctrl-C stops the server\n", line):
                break
        else:
            raise AssertionError(process.stderr and process.stderr.read())
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("number", "status", "line", "engine"),
    [
        pytest.param(signal.SIGINT, 130, "interrupted\n", "pytorch", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, 143, "stopped by SIGTERM\n", "caffe2", marks=needs_operators),
        (signal.SIGTERM, 143, "stopped by SIGTERM\n", "pytorch"),
    ],
)
def test_a_signal_ends_it_with_one_line(
    number: int, status: int, line: str, engine: str, own: Path, tmp_path: Path
) -> None:
    film = video(tmp_path / "film.mp4", 1)
    (tmp_path / "tmp").mkdir()
    with started([f"--load_model_path={own}"], tmp_path / "tmp", "--port=0", "--views=one", f"--engine={engine}") as (
        process,
        address,
    ):
        assert address.startswith("http://127.0.0.1:")
        assert [path.stat().st_mode & 0o777 for path in (tmp_path / "tmp").glob("vmz-serve-*")] == [0o700]
        assert ask(f"{address}api/predict?name=film.mp4", film)[0] == 200
        port = address.rpartition(":")[2].strip("/")
        with pytest.raises(UsageError, match=rf"^port {port} of 127.0.0.1 is in use; .*--port=0 for a free one$"):
            serve.work([f"--load_model_path={own}", "--num_gpus=0", f"--port={port}"])
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (status, line)
    assert re.fullmatch(r"film.mp4 \(0\.0 MB\): .+, [0-9.]+\s%, [0-9.]+ s\n", out)
    assert not list((tmp_path / "tmp").glob("vmz-serve-*"))


@pytest.mark.long
def test_a_signal_ends_it_inside_a_large_network(tmp_path: Path) -> None:
    """Whose thread does not come back for a while: the process ends without it, and PyTorch does not abort."""
    film = video(tmp_path / "film.mp4", 1, frames=120)
    large = ["--random_weights=1", "--model_name=r2plus1d", "--model_depth=34", "--num_labels=400", "--attention=0"]
    with started([*large, "--clip_length_rgb=32"], tmp_path, "--port=0") as (process, address):
        answers: list[Any] = []
        client = threading.Thread(target=lambda: answers.append(ask(f"{address}api/predict", film)))
        client.start()
        while not ask(f"{address}health")[1]["running"]:
            time.sleep(0.05)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        client.join()
    assert (process.returncode, err) == (143, "stopped by SIGTERM\n") and not list(tmp_path.glob("vmz-serve-*"))
    assert answers[0][0] in (200, 503)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "no weights are given; name a published model with --zoo, or a file with --load_model_path"),
        (["--load_model_path=none.pkl"], "none.pkl"),
        (["--load_model_path=own.pkl", "--host=256.1.1.1"], "--host=256.1.1.1 is not an address or a name that this"),
        (["--load_model_path=own.pkl", "--host=no such name"], "is not an address or a name that this machine knows"),
        (["--load_model_path=own.pkl", "--host=203.0.113.1"], "--host=203.0.113.1 is not an address of this machine"),
        (["--load_model_path=own.pkl", "--port=70000"], "--port: 70000 is more than 65535"),
        (["--load_model_path=own.pkl", "--max_upload_mb=0"], "--max_upload_mb: 0 is not at least 1"),
        (["--load_model_path=own.pkl", "--queue=-1"], "--queue: -1 is negative"),
        (["--load_model_path=own.pkl", "--views=all"], "published, one or a number of clips"),
        (["--load_model_path=own.pkl", "--attention_blob=softmax"], "attention needs one with time and place"),
        (["--load_model_path=own.pkl", "--engine=caffe2", "--attention=1"], "--attention=1 needs --engine=pytorch"),
        (["--load_model_path=own.pkl", "--test_data=x"], "unknown flag --test_data"),
        (["--load_model_path=own.pkl", "--on_bad_video=skip"], "unknown flag --on_bad_video"),
        (["film.mp4"], "unexpected argument 'film.mp4'"),
    ],
)
def test_wrong_requests(
    flags: list[str], sentence: str, own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(own.parent)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UsageError, match=re.escape(sentence)):
        serve.work([*flags, "--num_gpus=0", *(["--port=0"] if not any("port" in flag for flag in flags) else [])])
    assert not list(tmp_path.glob("vmz-serve-*"))


def test_what_is_not_installed_is_named(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(UsageError, match=r'^vmz serve needs python-multipart.*: pip install "vmz\[serve\]"$'):
        serve.work([f"--load_model_path={own}", "--port=0"])


def test_other_machines_are_warned_of(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:  # so that it ends before it serves
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        with pytest.raises(UsageError, match="is in use"):
            serve.work([f"--load_model_path={own}", "--host=0.0.0.0", f"--port={taken.getsockname()[1]}"])
    assert "warning: --host=0.0.0.0: whoever reaches this address" in capsys.readouterr().err


def test_the_configuration_is_saved_and_read(own: Path, tmp_path: Path) -> None:
    saved = tmp_path / "serve.json"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        flags = [f"--load_model_path={own}", f"--port={taken.getsockname()[1]}", "--queue=3", "--allow_host", "a", "b"]
        with pytest.raises(UsageError, match="is in use"):
            serve.work([*flags, f"--save_config={saved}"])
    options = json.loads(saved.read_text())["options"]
    assert options["queue"] == 3 and options["allow_host"] == ["a", "b"] and "test_data" not in options
    config = serve.configuration([f"--config={saved}", "--queue=4"])
    assert config.queue == 4 and config.allow_host == ("a", "b") and config.attention == 1
    assert NAME.endswith(os.path.basename(str(config.load_model_path)))


def test_a_private_folder_is_this_users_and_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with private_folder("vmz-x") as folder:
        (Path(folder) / "file").touch()
        assert os.stat(folder).st_mode & 0o777 == 0o700 and Path(folder).parent == tmp_path
    assert not Path(folder).exists()
