"""The HTTP API: what it answers, on both engines, and that a request which it refuses leaves nothing behind."""

from __future__ import annotations

import base64
import http.client
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlsplit

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.goldens.recordings import video_path
from tests.serve.running import LABELS, NAME, Gate, Running, ask, form, server, weights
from tests.support.hostile_videos import PLAYLISTS
from tests.support.small_videos import BAD, broken_in_the_middle, cut_off, silent_sound, video
from vmz.model.engine_model import EngineModel
from vmz.model.loading import load_model
from vmz.serve import worker


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for number in range(3):
        video(folder / f"{number}.mp4", number, rate=10, frames=30 + number)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where servers have their folders for uploads."""
    folder, before = tmp_path_factory.mktemp("uploads"), tempfile.tempdir
    tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before
    assert not list(folder.glob("vmz-serve-*")), "a server that has ended leaves its folder"


@pytest.fixture(scope="module")
def small(own: Path, place: Path) -> Iterator[Running]:
    """A server that takes 1 MB, and one video beside the one that is predicted."""
    with server(own, max_upload_mb=1, queue=1) as running:
        yield running


def kept(place: Path) -> list[str]:
    """The files of uploads that are there now."""
    return [name for folder in place.glob("vmz-serve-*") for name in os.listdir(folder)]


def soon(condition: Callable[[], Any]) -> Any:
    """What the condition gives, when it gives something."""
    end = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < end, "it has not come to that"
        time.sleep(0.02)
    return found


def sent(running: Running, content: bytes, query: str = "") -> tuple[int, Any]:
    return ask(f"{running.address}api/predict{query}", content)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_prediction_is_that_of_the_model(engine: str, own: Path, films: Path, place: Path) -> None:
    model: Any = load_model(str(own), device="cpu")
    with server(own, engine=engine, views="published", top_k=2) as running:
        for number, as_form in enumerate([False, True, False]):
            film = films / f"{number}.mp4"
            want = model.predict(str(film))
            body, headers = form(film.read_bytes(), film.name) if as_form else (film.read_bytes(), {})
            query = "" if as_form else f"?name={film.name}"
            status, found = ask(f"{running.address}api/predict{query}", body, headers)
            assert status == 200 and found["video"] == film.name and found["model"] == NAME
            assert np.abs(np.array(found["scores"]) - want.scores).max() < 1e-5
            assert [one["name"] for one in found["top"]] == [str(one) for one in want.top[:2]]
            assert [clip["span"] for clip in found["clips"]] == [pytest.approx(clip.span) for clip in want.clips]
            assert [one["span"] for one in found["pictures"]] == [clip["span"] for clip in found["clips"]]
            for one in found["pictures"]:
                assert base64.b64decode(one["jpeg"]).startswith(b"\xff\xd8")
                assert (one["attention"] is not None) == (engine == "pytorch") and one["attention"] != one["jpeg"]
            assert "html" not in found and kept(place) == []
        status, about = ask(f"{running.address}api/model")
        assert status == 200 and about["name"] == NAME and about["classes"] == LABELS and about["num_classes"] == 6
        assert about["clip_shape"] == [3, 8, 112, 112] and about["attention"] == (engine == "pytorch")
        assert about["settings"]["load_model_path"] == "own.pkl" and about["settings"]["clip_per_video"] == 4
        assert about["environment"]["engine"] == engine and about["max_upload_bytes"] == 200_000_000
        free = (200, {"status": "ok", "uploading": 0, "waiting": 0, "running": 0})
        assert soon(lambda: ask(f"{running.address}health") == free)  # the answer leaves before its count is taken back


def test_a_real_video_all_along(own: Path, place: Path) -> None:
    film = video_path("flipping_a_pancake.mkv")
    with server(own, stride_seconds=2.0, attention=0) as running:
        status, found = sent(running, film.read_bytes(), "?name=pancake.mkv")
    assert status == 200 and len(found["clips"]) == 6 and found["clips"][1]["span"][0] == pytest.approx(2, abs=0.04)
    assert len(found["pictures"]) == 6 and found["pictures"][0]["attention"] is None


def test_a_video_that_ends_early_says_so(small: Running, tmp_path: Path) -> None:
    for content in (cut_off(tmp_path / "cut.mkv"), broken_in_the_middle(tmp_path / "broken.mp4")):
        status, found = sent(small, content)
        assert status == 200 and found["ended_by"]
    _, found = sent(small, content, "?page=1")
    assert "Decoding ended early" in found["html"]


BROKEN = {
    "text": (BAD, "not a video that can be opened (it is text, not a video)"),
    "noise": (os.urandom(5000), "not a video that can be opened"),
    "sound": (silent_sound(), "the file has no video stream"),
    "zip": (b"PK\x03\x04" + bytes(3000), "not a video that can be opened"),
    "page": (b"<html><script>alert(1)</script></html>", "it is a web page, not a video"),
    **{name: (text.encode(), f"it is {kind}, not a video") for name, (kind, text) in PLAYLISTS.items()},
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_video_is_answered_in_a_sentence(name: str, small: Running, place: Path) -> None:
    content, reason = BROKEN[name]
    status, found = sent(small, content, "?name=it.mp4")
    assert status == 422 and list(found) == ["error"] and found["error"].startswith("it.mp4: ")
    assert reason in found["error"] and str(place) not in found["error"] and kept(place) == []


def test_a_short_video_is_answered_in_a_sentence(small: Running, tmp_path: Path) -> None:
    status, found = sent(small, video(tmp_path / "x.mp4", 1, frames=5), "?name=short.mp4")
    assert status == 422 and found["error"].startswith("short.mp4: 5 frames, but 8 are needed")


LARGE = (
    "the video is larger than 1 MB, the most that this server takes (--max_upload_mb=1); send a shorter or smaller one"
)


def test_what_is_too_large_is_refused_and_not_kept(small: Running, place: Path) -> None:
    for content in (bytes(1_000_001), bytes(3_000_000)):
        assert sent(small, content) == (413, {"error": LARGE})
        body, headers = form(content)
        assert ask(f"{small.address}api/predict", body, headers) == (413, {"error": LARGE})
        assert kept(place) == []
    assert sent(small, bytes(1_000_000))[0] == 422  # as large as may be, if no video
    assert kept(place) == []


def connection(running: Running, timeout: float = 120) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(running.address).netloc, timeout=timeout)


def test_a_length_that_is_announced_is_refused_at_once(small: Running) -> None:
    """2 GB, of which nothing is sent; and without an announcement, while it streams."""
    client = connection(small)
    client.putrequest("POST", "/api/predict")
    client.putheader("Content-Length", str(1 << 31))
    client.endheaders()
    answer = client.getresponse()
    assert answer.status == 413 and answer.getheader("Connection") == "close" and LARGE in answer.read().decode()

    client = connection(small)
    parts = 0

    def endless() -> Iterator[bytes]:
        nonlocal parts
        while parts < 100_000:
            parts += 1
            yield bytes(1 << 16)

    chunked = {"Transfer-Encoding": "chunked"}
    with suppress(BrokenPipeError, ConnectionResetError):  # it does not listen to the end
        client.request("POST", "/api/predict", endless(), chunked, encode_chunked=True)
    assert parts < 5000  # 300 MB: what is in flight, and what is taken so that the answer arrives
    answer = client.getresponse()
    assert answer.status == 413


def test_one_at_a_time_one_waits_and_more_are_refused(
    small: Running, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, answers = Gate(monkeypatch), {}
    film = (films / "0.mp4").read_bytes()

    def send(number: int) -> threading.Thread:
        thread = threading.Thread(
            target=lambda: answers.update({number: sent(small, film, f"?ticket=number_{number}&name={number}.mp4")})
        )
        thread.start()
        return thread

    def state(number: int) -> tuple[str, int]:
        found = ask(f"{small.address}api/queue?ticket=number_{number}")[1]
        return found["state"], found["ahead"]

    threads = [send(0)]
    assert gate.begun.acquire(timeout=120) and state(0) == ("running", 0)
    threads.append(send(1))
    soon(lambda: state(1) == ("waiting", 1))
    assert ask(f"{small.address}health")[1] == {"status": "ok", "uploading": 0, "waiting": 1, "running": 1}
    status, found = sent(small, film)
    assert status == 503 and found["error"] == (
        "all places are taken: beside the video that is predicted, 1 may wait (--queue=1); try again in a moment"
    )
    gate.open.release()
    assert gate.begun.acquire(timeout=120) and state(1) == ("running", 0)
    gate.open.release()
    for thread in threads:
        thread.join(120)
    assert [answers[number][0] for number in (0, 1)] == [200, 200]
    assert [answers[number][1]["video"] for number in (0, 1)] == ["0.mp4", "1.mp4"]
    assert answers[0][1]["scores"] == answers[1][1]["scores"] and state(0) == ("unknown", 0)


def test_who_leaves_gives_the_place_back(
    small: Running, films: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, film = Gate(monkeypatch), (films / "0.mp4").read_bytes()
    clients = [connection(small) for _ in range(2)]
    for number, client in enumerate(clients):
        client.request("POST", f"/api/predict?ticket=leaving_{number}", film)
        soon(lambda: sum(ask(f"{small.address}health")[1][state] for state in ("waiting", "running")) == number + 1)  # noqa: B023
    assert gate.begun.acquire(timeout=120)
    for client in reversed(clients):
        client.close()
    soon(lambda: not kept(place))
    assert soon(lambda: ask(f"{small.address}health")[1]["running"] == 0)
    gate.open.release(2)
    assert sent(small, film)[0] == 200


def test_a_video_that_does_not_arrive(own: Path, place: Path) -> None:
    with server(own, request_timeout=1) as running:
        client = connection(running)
        client.putrequest("POST", "/api/predict")
        client.putheader("Content-Length", "1000")
        client.endheaders(bytes(10))
        answer = client.getresponse()
        assert answer.status == 408 and b"did not arrive within 1 seconds (--request_timeout=1)" in answer.read()
        assert kept(place) == []
        client = connection(running)
        client.putrequest("POST", "/api/predict")
        client.putheader("Content-Length", "1000")
        client.endheaders(bytes(10))
        soon(lambda: ask(f"{running.address}health")[1]["uploading"] == 1)
        client.close()
        soon(lambda: ask(f"{running.address}health")[1]["uploading"] == 0)
        assert kept(place) == []


def test_a_prediction_that_takes_too_long(own: Path, films: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = (
        "the prediction took longer than 1 seconds (--request_timeout=1) and was given up; send a shorter video, or "
        "start the server with --views=one"
    )
    film, known = (films / "0.mp4").read_bytes(), EngineModel.score
    with server(own, request_timeout=1) as running:
        with monkeypatch.context() as patched:  # the video is never read
            Gate(patched)
            assert sent(running, film) == (504, {"error": late})
        blocked = threading.Event()
        with monkeypatch.context() as patched:  # the network does not come back
            patched.setattr(EngineModel, "score", lambda *given: (blocked.wait(20), known(*given))[1])
            assert sent(running, film) == (504, {"error": late})
            assert kept(place) == []
        assert ask(f"{running.address}health")[1] == {"status": "ok", "uploading": 0, "waiting": 0, "running": 1}
        blocked.set()
        soon(lambda: ask(f"{running.address}health")[1]["running"] == 0)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (RuntimeError("odd"), "internal error: RuntimeError: odd. This is a bug in VMZ; please report it"),
        (MemoryError("x"), "there is not enough memory to predict it.mp4; start the server with --views=one or a"),
        (RuntimeError("can't allocate memory"), "there is not enough memory to predict it.mp4"),
    ],
)
def test_a_fault_is_a_sentence_and_the_server_goes_on(
    error: Exception, sentence: str, small: Running, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: Any, **keywords: Any) -> Any:
        raise error

    film = (films / "0.mp4").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(worker, "predict_one", fails)
        status, found = sent(small, film, "?name=it.mp4")
        assert status == 500 and found["error"].startswith(sentence)
    assert sent(small, film)[0] == 200


def test_a_full_disk_is_a_sentence(small: Running, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = place.glob("vmz-serve-*")
    for name in ("write", "close"):
        with monkeypatch.context() as patched:
            patched.setattr("vmz.serve.uploads.os.fdopen", lambda fd, mode: _Full(fd, name))  # noqa: B023
            status, found = sent(small, b"x" * 100)
        assert status == 507 and found["error"].endswith("No space left on device") and os.listdir(folder) == []


class _Full:
    """A file on a disk that is full when `where` is called."""

    def __init__(self, descriptor: int, where: str) -> None:
        self._descriptor, self._where = descriptor, where

    def write(self, part: bytes) -> None:
        self._fail("write")

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._fail("close")

    def _fail(self, where: str) -> None:
        if where == self._where:
            raise OSError(28, "No space left on device")


def test_at_its_end_those_who_wait_are_told(own: Path, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, answers = Gate(monkeypatch), []
    film = (films / "0.mp4").read_bytes()
    with server(own) as running:
        threads = [threading.Thread(target=lambda: answers.append(sent(running, film))) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert gate.begun.acquire(timeout=120)
        soon(lambda: ask(f"{running.address}health")[1]["waiting"] == 2)
        running.stop()
        for thread in threads:
            thread.join(120)
    assert answers == [(503, {"error": "the server is stopping; try again when it runs"})] * 3
