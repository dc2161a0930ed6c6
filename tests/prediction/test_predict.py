"""`vmz predict`: what it prints and writes, on both engines, and what it says of wrong requests."""

from __future__ import annotations

import csv
import json
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.support.small_videos import BAD, cut_off, video
from tests.zoo.server import serving, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.predict import work
from vmz.errors import UsageError, VmzError
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.prediction import run

ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
NETWORK: dict[str, Any] = {"model_name": "r3d", "model_depth": 10, "num_labels": 6, "channel_multiplier": 0.1}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of three films and a checkpoint with names of its classes."""
    (tmp_path / "films").mkdir()
    for number in range(3):
        video(tmp_path / "films" / f"{number}.mp4", number, rate=10, frames=30 + number)
    model = build(ModelConfig(**NETWORK, clip_length=8))
    protocol = {**NETWORK, "clip_length_rgb": 8, "test_clip_per_video": 4}
    about = {"protocol": protocol, "labels": ["ask", "bow", "<i>cut</i>", "dig", "eat", "fly"]}
    save_pickle(tmp_path / "own.pkl", seeded_weights([*model.params, *model.computed_params], seed=1), about)
    return tmp_path


def flags(place: Path, *more: str, engine: str = "pytorch") -> list[str]:
    return [f"--load_model_path={place / 'own.pkl'}", "--num_gpus=0", f"--engine={engine}", *more]


@pytest.mark.parametrize("engine", ENGINES)
def test_top_classes_json_csv_and_page(engine: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films = str(place / "films")
    outputs = [f"--output={place / 'p.json'}", f"--csv={place / 'p.csv'}", f"--report={place / 'p.html'}"]
    assert work([films, *flags(place, "--top_k=2", *outputs, engine=engine)]) == 0
    printed = capsys.readouterr()
    model: Any = vmz.load_model(str(place / "own.pkl"), device="cpu")
    expected = [model.predict(f"{films}/{number}.mp4") for number in range(3)]
    found = json.loads((place / "p.json").read_text())
    for one, want in zip(found["videos"], expected):
        assert one["video"] == want.video and [top["name"] for top in one["top"]] == [str(top) for top in want.top[:2]]
        assert np.abs(np.array(one["scores"]) - want.scores).max() < 1e-5
        assert len(one["clips"]) == 4 and one["clips"][1]["span"] == pytest.approx(want.clips[1].span)
        assert f"{want.video}\n{100 * want.top[0].score:6.2f} %  {want.top[0]}\n" in printed.out
    assert found["environment"]["engine"] == engine and found["label_names"][2] == "<i>cut</i>"
    assert found["settings"]["sources"]["clip_per_video"] == {"value": 4, "source": "checkpoint"}
    with open(place / "p.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 6 and rows[0] == {
        "video": expected[0].video, "rank": "1", "label": str(expected[0].top[0].label),
        "class": str(expected[0].top[0]), "score": rows[0]["score"],
    }  # fmt: skip
    page = (place / "p.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 12 and "Scores over time" in page and "<i>cut</i>" not in page


@pytest.mark.parametrize("engine", ENGINES)
def test_all_along_a_video(engine: str, place: Path) -> None:
    film, output = str(place / "films" / "0.mp4"), place / "p.json"
    assert work([film, *flags(place, "--stride_seconds=0.5", f"--output={output}", engine=engine)]) == 0
    (one,) = json.loads(output.read_text())["videos"]
    starts = [clip["span"][0] for clip in one["clips"]]
    assert starts == pytest.approx([0, 0.5, 1, 1.5, 2])  # of 3 seconds; a clip lasts 0.7
    assert np.allclose(np.mean([clip["scores"] for clip in one["clips"]], axis=0), one["scores"], atol=1e-6)


def test_views_and_aggregation(place: Path) -> None:
    film, output = str(place / "films" / "1.mp4"), place / "p.json"

    def scores(*more: str) -> dict[str, Any]:
        assert work([film, *flags(place, f"--output={output}", *more)]) == 0
        found: dict[str, Any] = json.loads(output.read_text())["videos"][0]
        return found

    one, three, most = scores("--views=one"), scores("--views=3"), scores("--views=3", "--aggregation=1")
    assert len(one["clips"]) == 1 and one["scores"] == pytest.approx(three["clips"][1]["scores"], abs=1e-6)
    assert most["scores"] == pytest.approx(np.max([clip["scores"] for clip in three["clips"]], axis=0), abs=1e-6)


def test_annotated_copies_and_attention(place: Path) -> None:
    pytest.importorskip("PIL")
    film, folder = place / "films" / "2.mp4", place / "shown"
    assert work([str(film), *flags(place, f"--annotate={folder}")]) == 0
    plain = frames_of(folder / "2.mp4")
    assert len(plain) == 32 and plain[0].shape == (48, 64, 3)
    assert (
        work([str(film), *flags(place, f"--annotate={folder}", "--attention=1", f"--report={place / 'p.html'}")]) == 0
    )
    heated = frames_of(folder / "2.mp4")
    assert len(heated) == 32 and np.abs(heated[0].astype(int) - plain[0]).mean() > 3
    assert "Red: where the network looked" in (place / "p.html").read_text()
    original = frames_of(film)
    change = np.abs(plain[5].astype(int) - original[5]).mean(axis=2)
    assert change[:15, :15].mean() > 20 and change[:, -4:].mean() < 5  # the letters are at the left


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return frames


@pytest.mark.parametrize("engine", ENGINES)
def test_bad_videos(engine: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "films" / "bad.mp4").write_bytes(BAD)
    (place / "films" / "short.mp4").write_bytes(video(place / "x.mp4", 1, frames=5))
    with pytest.raises(VmzError, match=r"bad.mp4: not a video that can be opened .*; leave .* --on_bad_video=skip"):
        work([str(place / "films"), *flags(place, engine=engine)])
    output = place / "p.json"
    more = [f"--output={output}", "--on_bad_video=skip", f"--report={place / 'p.html'}"]
    assert work([str(place / "films"), *flags(place, *more, engine=engine)]) == 0
    found = json.loads(output.read_text())
    assert [Path(one["video"]).name for one in found["videos"]] == ["0.mp4", "1.mp4", "2.mp4"]
    reasons = {Path(one["video"]).name: one["reason"] for one in found["skipped"]}
    assert "not a video" in reasons["bad.mp4"] and "5 frames, but 8 are needed" in reasons["short.mp4"]
    assert "2 videos left out" in capsys.readouterr().out and "short.mp4" in (place / "p.html").read_text()


@pytest.mark.parametrize("more", [[], ["--stride_seconds=0.5"]])
def test_a_decoder_that_hangs_is_given_up(more: list[str], place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that neither reads nor gives frames: nothing in its thread looks at the clock."""
    done = threading.Event()
    for name in ("read_views", "WindowReader"):
        monkeypatch.setattr(run, name, lambda *arguments, **keywords: done.wait(60))
    try:
        with pytest.raises(VmzError, match=r"0.mp4: it gave no new frame for 1 seconds.*\(--video_timeout=1\)"):
            work([str(place / "films"), *flags(place, "--video_timeout=1", *more)])
    finally:
        done.set()


def test_the_configuration_is_saved_and_read(place: Path) -> None:
    saved, first, again = place / "c.json", place / "p.json", place / "q.json"
    film = str(place / "films" / "0.mp4")
    assert work([film, *flags(place, "--views=2", f"--output={first}", f"--save_config={saved}")]) == 0
    assert work([film, f"--config={saved}", f"--output={again}"]) == 0
    one, two = (json.loads(path.read_text())["videos"][0] for path in (first, again))
    assert len(two["clips"]) == 2 and one["scores"] == two["scores"]


def test_decoding_that_ends_early_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "cut.mkv").write_bytes(cut_off(place / "made.mkv"))
    assert work([str(place / "cut.mkv"), *flags(place, "--clip_length_rgb=2")]) == 0
    assert "cut.mkv (decoding ended early: " in capsys.readouterr().out


@pytest.mark.long
def test_a_published_name_is_fetched(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    row = zoo.find("r2plus1d_d18_l8")
    model = build(vmz.weights(row.name).config)
    save_pickle(place / "made.pkl", seeded_weights([*model.params, *model.computed_params]))
    monkeypatch.setenv("VMZ_CACHE", str(place / "cache"))
    with serving({f"/{row.file}": whole((place / "made.pkl").read_bytes())}) as (address, seen):
        monkeypatch.setenv("VMZ_MIRROR", address)
        argv = [str(place / "films" / "0.mp4"), "--zoo", row.name, "--views=one", "--num_gpus=0", "--top_k=400"]
        assert work(argv) == 0 and work(argv) == 0
    assert len(seen) == 1
    printed = capsys.readouterr().out
    assert all(f"%  {name}\n" in printed for name in ("abseiling", "zumba", "yoga"))


@pytest.mark.parametrize(
    ("argv", "error", "sentence"),
    [
        ([], UsageError, "no video is given; name files or a folder, as in: vmz predict"),
        (["nothing.mp4"], UsageError, "VIDEO=nothing.mp4"),
        (["films"], UsageError, "no weights are given; name a published model with --zoo, or a file"),
        (["films", "--load_model_path=own.pkl", "--views=all"], UsageError, "published, one or a number of clips"),
        (["films", "--load_model_path=own.pkl", "--test_data=x"], UsageError, "unknown flag --test_data"),
        (["films", "--load_model_path=own.pkl", "--label_names=two.txt"], UsageError, "names 2 classes, but"),
        (["films", "--load_model_path=own.pkl", "--attention=1", "--attention_blob=final_avg", "--report=p.html"],
         None, ""),
        (["films", "--load_model_path=own.pkl", "--attention=1", "--attention_blob=softmax", "--report=p.html"],
         UsageError, "attention needs one with time and place"),
        (["films", "--load_model_path=own.pkl", "--attention=1", "--attention_blob=data", "--report=p.html"],
         UsageError, "do not depend on blob data"),
        (["films", "--load_model_path=own.pkl", "--annotate=two.txt"], UsageError, "cannot be used as a folder"),
        (["films", "films2", "--load_model_path=own.pkl", "--annotate=shown"], UsageError, "the same name"),
    ],
)  # fmt: skip
def test_requests(place: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], error: Any, sentence: str) -> None:
    monkeypatch.chdir(place)
    (place / "two.txt").write_text("a\nb\n")
    (place / "films2").mkdir()
    video(place / "films2" / "0.mp4", 1, frames=12)
    if error is None:
        assert work([*argv, "--num_gpus=0"]) == 0
        return
    with pytest.raises(error, match=sentence):
        work([*argv, "--num_gpus=0"])


@needs_caffe2
def test_attention_needs_gradients(place: Path) -> None:
    with pytest.raises(UsageError, match="--attention=1 needs --engine=pytorch"):
        work([str(place / "films"), *flags(place, "--attention=1", engine="caffe2")])
