"""Networks that hear, from a file of weights to the classes of a video: `load_model` and `vmz predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmz
from tests.engines.real_caffe2 import needs_caffe2
from tests.goldens.recordings import video_path
from tests.support.optionals import present
from tests.support.sounding_videos import sounding_video
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli.predict import work
from vmz.errors import UsageError, VideoError, VmzError
from vmz.model.engine_model import EngineModel
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.video.views import read_views

ENGINES = ["pytorch", pytest.param("caffe2", marks=needs_caffe2)]
SMALL = {"model_depth": 18, "num_labels": 6, "channel_multiplier": 0.125}
BOTH: dict[str, Any] = {"model_name": "av_resnet-r3d", **SMALL}
SOUND: dict[str, Any] = {"model_name": "a_resnet", **SMALL}
WITHOUT = "it has no audio stream"


def checkpoint(path: Path, network: dict[str, Any], input_type: int, **more: Any) -> Path:
    """Weights as a training of ours leaves them: with the settings of its clips."""
    model = build(ModelConfig(**network, clip_length=8, **more))
    protocol = {**network, **more, "input_type": input_type, "clip_length_rgb": 8, "test_clip_per_video": 3}
    save_pickle(path, seeded_weights([*model.params, *model.computed_params], seed=1), {"protocol": protocol})
    return path


def films_and_weights(place: Path) -> Path:
    """Two videos with sound and, number 1, one without; weights of a network that sees too and of one that hears."""
    (place / "films").mkdir()
    for number in range(3):
        sounding_video(place / "films" / f"{number}.mp4", number, frames=40, sound=number != 1)
    checkpoint(place / "both.pkl", BOTH, 3)
    checkpoint(place / "sound.pkl", SOUND, 2)
    return place


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return films_and_weights(tmp_path)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("weights", ["both.pkl", "sound.pkl"])
def test_a_model_scores_a_video_by_what_it_hears(weights: str, engine: str, place: Path) -> None:
    model: Any = vmz.load_model(str(place / weights), engine=engine, device="cpu")
    films = [str(place / "films" / f"{number}.mp4") for number in range(3)]
    found = [model.predict(film) for film in films]
    assert [one.without_sound is None for one in found] == [True, False, True] and len(found[0].clips) == 3
    views = model.clips(films[0])
    if weights == "sound.pkl":
        assert model.clip_shape == (1, 100, 40) and views.clips.shape == (3, 1, 100, 40) and views.logmels is None
        given = [views.clips]
    else:
        assert model.clip_shape == (3, 8, 112, 112) and views.logmels.shape == (3, 1, 100, 40)
        given = [views.clips, views.logmels]
    assert np.abs(model.score(*given).mean(0) - found[0].scores).max() < 1e-6
    silent = model.score(*given[:-1], np.zeros_like(given[-1])).mean(0)
    assert np.abs(silent - found[0].scores).max() > 1e-3  # it listens
    assert model.clips(films[1]).without_sound and not (given[-1] == 0).all()
    one = model.predict(films[0], views="one")
    assert np.abs(one.scores - found[0].clips[1].scores).max() < 1e-6
    if engine == "caffe2":
        other: Any = vmz.load_model(str(place / weights), device="cpu")
        assert np.abs(other.predict(films[0]).scores - found[0].scores).max() < 1e-5


@pytest.mark.long
@pytest.mark.parametrize("engine", ENGINES)
def test_a_real_video(engine: str, place: Path) -> None:
    model: Any = vmz.load_model(str(place / "both.pkl"), engine=engine, device="cpu")
    with_sound, without = (model.predict(str(video_path(name))) for name in ("bigbuckbunny.mp4", "arm_wrestling.mp4"))
    assert with_sound.without_sound is None and without.without_sound
    assert len(with_sound.clips) == 3 and abs(with_sound.scores.sum() - 1) < 1e-5


def test_the_same_model_after_it_was_saved(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    film = str(place / "films" / "0.mp4")
    for weights, kind in (("both.pkl", 3), ("sound.pkl", 2)):
        model: Any = vmz.load_model(str(place / weights), device="cpu", audio_timestamps=1)
        model.save(tmp_path / f"folder_{kind}")
        network = json.loads((tmp_path / f"folder_{kind}" / "config.json").read_text())["network"]
        clips = json.loads((tmp_path / f"folder_{kind}" / "preprocessor_config.json").read_text())
        assert network["input_type"] == kind and network["audio_input_3d"] == 0
        assert clips["clips"]["audio_timestamps"] == 1 and ("mean" in clips) == (kind == 3)
        again: Any = vmz.load_model(str(tmp_path / f"folder_{kind}"), device="cpu")
        assert again.settings.input_type == kind and again.settings.audio_timestamps == 1
        assert np.array_equal(again.predict(film).scores, model.predict(film).scores)


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_in_3d_are_the_one_that_a_video_has(engine: str, place: Path) -> None:
    film, found = str(place / "films" / "0.mp4"), []
    for name, more in (("flat", {}), ("deep", {"audio_input_3d": True})):
        path = checkpoint(place / f"{name}.pkl", BOTH, 3, **more)
        model: Any = vmz.load_model(str(path), engine=engine, device="cpu")
        found.append(model.predict(film).scores)
    assert model.input_shapes["logmels"] == (1, 1, 100, 40) and np.abs(found[0] - found[1]).max() < 1e-6


def test_the_joint_head_scores(place: Path) -> None:
    path = checkpoint(place / "blended.pkl", BOTH, 3, g_blend=True)
    film = str(place / "films" / "0.mp4")
    plain: Any = vmz.load_model(str(path), device="cpu")  # the other heads are left in the file
    blended: Any = vmz.load_model(str(path), device="cpu", g_blend=1)
    assert not plain.config.g_blend and blended.config.g_blend
    assert np.abs(plain.predict(film).scores - blended.predict(film).scores).max() < 1e-6
    views = blended.clips(film)
    import torch

    heads = ["last_out_L6", "a_last_out_L6", "v_last_out_L6"]
    logits = blended.blobs(torch.from_numpy(views.clips), heads, torch.from_numpy(views.logmels))
    assert all(logits[head].shape == (3, 6) for head in heads)
    assert torch.equal(logits["last_out_L6"], blended(torch.from_numpy(views.clips), torch.from_numpy(views.logmels)))


def test_stages_and_attention(place: Path) -> None:
    import torch

    from vmz.model.attention import attention

    model: Any = vmz.load_model(str(place / "both.pkl"), device="cpu")
    views = model.clips(str(place / "films" / "0.mp4"), views=1)
    found = model.features(torch.from_numpy(views.clips), torch.from_numpy(views.logmels))
    assert found["v_res5"].shape == (1, 64, 1, 7, 7) and found["a_res5"].shape == (1, 64, 4, 2)
    assert found["av_concat"].shape == (1, 128, 1, 1) and found["av_fc2"].shape == (1, 64)
    places = np.stack([attention(model, views.clips, label, logmels=views.logmels) for label in range(6)])
    assert places.shape == (6, 1, 8, 112, 112) and 0 <= places.min() < places.max() <= 1
    hears: Any = vmz.load_model(str(place / "sound.pkl"), device="cpu")
    maps = hears.clips(str(place / "films" / "0.mp4"), views=1).clips
    assert list(hears.features(torch.from_numpy(maps))) == ["res1", "res2", "res3", "res4", "res5", "final_avg"]
    with pytest.raises(UsageError, match="a_resnet sees no pictures, where attention could be shown"):
        attention(hears, maps, 2)


def test_what_a_model_is_called_with(place: Path) -> None:
    import torch

    both, sound = (vmz.load_model(str(place / name), device="cpu") for name in ("both.pkl", "sound.pkl"))
    clips, maps = torch.zeros(2, 3, 8, 112, 112), torch.zeros(2, 1, 100, 40)
    calls: list[tuple[Any, tuple[Any, ...], str]] = [
        (both, (clips,), r"^the logmels of the clips are not given; this model takes a tensor \(N, 1, 100, 40\)"),
        (both, (clips, maps[:1]), "^there are 2 clips and 1 logmels of clips$"),
        (both, (clips, maps[:, 0]), r"^the logmels are \(2, 100, 40\), but this model takes a tensor \(N, 1, 100, 40"),
        (
            both,
            (clips, maps.double()),
            "^the logmels are torch.float64, but the model's weights are torch.float32; use",
        ),
        (
            sound,
            (clips,),
            r"^the clips are \(2, 3, 8, 112, 112\), but this model takes a tensor \(N, 1, 100, 40\)",
        ),
        (sound, (maps, maps), "^logmels are given, but this model takes none$"),
    ]
    for model, given, says in calls:
        with pytest.raises(UsageError, match=says):
            model(*given)
    with pytest.raises(UsageError, match="a network that hears takes a video file: frames have no sound"):
        both.predict(np.zeros((9, 48, 64, 3), np.uint8))
    with pytest.raises(UsageError, match=r"^frames have no sound, which this network takes"):
        getattr(both, "transform")  # noqa: B009
    with pytest.raises(VideoError, match=f"^.*1.mp4: {WITHOUT}$"):
        read_views(str(place / "films" / "1.mp4"), present(both.settings).reader_args(on_missing_audio="stop"))


@needs_caffe2
def test_what_a_model_on_an_engine_is_called_with(place: Path) -> None:
    clips, maps = np.zeros((2, 3, 8, 112, 112), np.float32), np.zeros((2, 1, 100, 40), np.float32)
    on_engine = vmz.load_model(str(place / "both.pkl"), engine="caffe2", device="cpu")
    assert isinstance(on_engine, EngineModel)
    with on_engine as both:
        for given, says in (
            ((clips,), r"^the logmels of the clips are not given; this model takes \(N, 1, 100, 40\)"),
            ((clips, maps[:1]), r"^the logmels are \(1, 1, 100, 40\), but this model takes"),
        ):
            with pytest.raises(UsageError, match=says):
                both(*given)
        assert both.blobs(clips, ["av_concat"], maps)["av_concat"].shape == (2, 128, 1, 1)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command(engine: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    films, output = str(place / "films"), place / "p.json"
    flags = [f"--load_model_path={place / 'both.pkl'}", "--num_gpus=0", f"--engine={engine}", f"--output={output}"]
    assert work([films, *flags, f"--report={place / 'p.html'}"]) == 0
    printed = capsys.readouterr().out
    assert f"1.mp4 (without sound, log-mels are zeros: {WITHOUT})\n" in printed
    found = json.loads(output.read_text())
    assert [one["without_sound"] for one in found["videos"]] == [None, WITHOUT, None]
    assert found["settings"]["sources"]["input_type"] == {"value": 3, "source": "checkpoint"}
    assert f"The log-mels are zeros: {WITHOUT}." in (place / "p.html").read_text()
    remedy = "have it give zeros with --on_missing_audio=zeros, or leave such videos out with --on_missing_audio=skip"
    with pytest.raises(VmzError, match=f"1.mp4: {WITHOUT}; {remedy}$"):
        work([films, *flags, "--on_missing_audio=stop", "--on_bad_video=skip"])
    assert work([films, *flags, "--on_missing_audio=skip"]) == 0
    left = json.loads(output.read_text())
    assert len(left["videos"]) == 2 and left["skipped"] == [{"video": f"{films}/1.mp4", "reason": WITHOUT}]
    with pytest.raises(UsageError, match=r"^--stride_seconds=0.5 does not go with --input_type=3: sound is laid out"):
        work([films, *flags, "--stride_seconds=0.5"])
