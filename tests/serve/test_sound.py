"""A server whose network hears: its answers are those of `vmz predict`, and say where a video has no sound."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engines.real_caffe2 import ENGINES
from tests.prediction.test_sound import WITHOUT, films_and_weights
from tests.serve.running import ask, server
from tests.support.sound_videos import Tone, sound_video
from vmz.cli.predict import work as predict
from vmz.errors import UsageError


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return films_and_weights(tmp_path_factory.mktemp("sound"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weights", ["both.pkl", "sound.pkl"])
def test_it_answers_as_predict(weights: str, engine: str, place: Path, tmp_path: Path) -> None:
    output, sees = tmp_path / "p.json", weights == "both.pkl"
    given = [f"--load_model_path={place / weights}", "--device=cpu", f"--engine={engine}", f"--output={output}"]
    assert predict([str(place / "films"), *given]) == 0
    predicted = json.loads(output.read_text())["videos"]
    with server(place / weights, engine=engine, views="published") as running:
        for number, one in enumerate(predicted):
            content = (place / "films" / f"{number}.mp4").read_bytes()
            status, found = ask(f"{running.address}api/predict?name={number}.mp4&page=1", content)
            assert status == 200 and len(found["clips"]) == 3
            assert np.abs(np.array(found["scores"]) - one["scores"]).max() < 1e-6
            assert found["without_sound"] == one["without_sound"] == (WITHOUT if number == 1 else None)
            assert (f"The log-mels are zeros: {WITHOUT}." in found["html"]) == (number == 1)
            assert len(found["pictures"]) == (3 if sees else 0)
            shown = sees and engine == "pytorch"
            assert all((picture["attention"] is not None) == shown for picture in found["pictures"])
        status, about = ask(f"{running.address}api/model")
        assert about["settings"]["input_type"] == (3 if sees else 2) and about["attention"] == shown
        assert about["clip_shape"] == ([3, 8, 112, 112] if sees else [1, 100, 40])


@pytest.mark.parametrize("what", ["stop", "skip"])
def test_a_video_without_sound_may_be_refused(what: str, place: Path) -> None:
    with server(place / "both.pkl", on_missing_audio=what, attention=0) as running:
        status, found = ask(f"{running.address}api/predict?name=x.mp4", (place / "films" / "1.mp4").read_bytes())
        assert (status, found) == (422, {"error": f"x.mp4: {WITHOUT}"})
        status, found = ask(f"{running.address}api/predict", (place / "films" / "0.mp4").read_bytes())
        assert status == 200 and found["without_sound"] is None


def test_what_is_not_both_sound_and_pictures(place: Path) -> None:
    """Sound alone suffices for a network that takes no more; text is neither."""
    alone = sound_video([Tone()], "mp4", pictures=False)
    for weights, status in (("sound.pkl", 200), ("both.pkl", 422)):
        with server(place / weights) as running:
            found = ask(f"{running.address}api/predict?name=x.m4a", alone)
            assert found[0] == status
            assert status == 200 or found[1] == {"error": "x.m4a: the file has no video stream"}
            found = ask(f"{running.address}api/predict?name=x.txt", b"no sound at all, and no picture\n" * 9)
            assert found[0] == 422 and "it is text, not a video" in found[1]["error"]


def test_what_a_server_cannot_show(place: Path) -> None:
    says = (
        "^--attention=1 shows where a network looked in pictures, but with --input_type=2 it takes sound alone; leave"
    )
    given: dict[str, Any] = {"attention": 1}
    with pytest.raises(UsageError, match=says), server(place / "sound.pkl", **given):
        pass
    with pytest.raises(UsageError, match=says):
        predict([str(place / "films"), f"--load_model_path={place / 'sound.pkl'}", "--attention=1"])
    stride = "^--stride_seconds=1.0 does not go with --input_type=3"
    with pytest.raises(UsageError, match=stride), server(place / "both.pkl", stride_seconds=1.0):
        pass
    with (
        pytest.raises(UsageError, match="takes pictures and sound, not --input_type=0"),
        server(place / "both.pkl", input_type=0),
    ):
        pass
