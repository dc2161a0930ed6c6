"""A server in this process, with a small network that nobody trained, and videos that may be made to wait."""

from __future__ import annotations

import json
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import pytest

from tests.serve import needs  # noqa: F401
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.serve import worker
from vmz.serve.config import ServeConfig
from vmz.serve.server import Running, serve

NETWORK: dict[str, Any] = {"model_name": "r3d", "model_depth": 10, "num_labels": 6, "channel_multiplier": 0.1}
LABELS = ["ask", "bow", "<i>cut</i>", "dig", "eat", "fly"]
NAME = "r3d-10, clips of 3x8x112x112, 6 classes, own.pkl"


def weights(folder: Path) -> Path:
    """A checkpoint with names of its classes."""
    model = build(ModelConfig(**NETWORK, clip_length=8))
    about = {"protocol": {**NETWORK, "clip_length_rgb": 8, "test_clip_per_video": 4}, "labels": LABELS}
    save_pickle(folder / "own.pkl", seeded_weights([*model.params, *model.computed_params], seed=1), about)
    return folder / "own.pkl"


@contextmanager
def server(path: Path, **settings: Any) -> Iterator[Running]:
    """One with the weights at `path`, at a free port; settings: of ServeConfig, by default a single clip of a video."""
    given = {"port": 0, "device": "cpu", "views": "one", **settings}
    config = ServeConfig.resolved(load_model_path=str(path), **given)
    began: queue.Queue[Any] = queue.Queue()

    def run() -> None:
        try:
            serve(config, began.put)
        except BaseException as error:
            began.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    running = began.get(timeout=120)
    if isinstance(running, BaseException):
        thread.join()
        raise running
    try:
        yield running
    finally:
        running.stop()
        thread.join(120)
        assert not thread.is_alive()


class Gate:
    """Holds every prediction back from when it begins until it is let through."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Semaphore(0)
        known = worker.predict_one

        def held(*arguments: Any, **keywords: Any) -> Any:
            self.begun.release()
            watch = keywords["watch"]
            while not self.open.acquire(timeout=0.05):
                if watch.is_over():
                    break
            return known(*arguments, **keywords)

        monkeypatch.setattr(worker, "predict_one", held)


def ask(
    address: str, body: Optional[bytes] = None, headers: Optional[dict[str, str]] = None, timeout: float = 120
) -> tuple[int, Any]:
    """(status, JSON or text) of a request: GET, or POST with a body."""
    request = urllib.request.Request(address, body, headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def form(content: bytes, name: str = "film.mp4", more: bytes = b"") -> tuple[bytes, dict[str, str]]:
    """The body and headers of a form with a file, and before it `more`, parts in full."""
    head = f'--edge\r\nContent-Disposition: form-data; name="video"; filename="{name}"\r\n\r\n'.encode()
    return more + head + content + b"\r\n--edge--\r\n", {"Content-Type": "multipart/form-data; boundary=edge"}
