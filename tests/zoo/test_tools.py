"""--zoo NAME of the tools without --load_model_path: what a server gives instead of the file is said in a sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.in_process import tool
from tests.support.small_videos import database, video
from tests.zoo.server import Answer, serving, status, whole
from vmz import zoo
from vmz.checkpoints.pickles import load_pickle, save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.errors import UsageError, VmzError
from vmz.models.registry import build
from vmz.settings.model import ModelSettings
from vmz.settings.network import model_config
from vmz.zoo import cache

ROW = zoo.find("r2df_d18_l8")
TOOLS = {
    "predict": ["film.mp4", "--views=one"],
    "export": ["--output=net.mdl"],
    "test_net": ["--test_data=db", "--clip_per_video=1"],
    "extract_features": ["--test_data=db", "--output_path=features.npz"],
    "finetune": ["folder"],
}
ANSWERS: dict[str, tuple[Answer, str]] = {
    "404": (status(404), r"^cannot fetch r2df_d18_l8.pkl: http\S+: answers 404 Not Found$"),
    "a page": (whole(b"<!DOCTYPE html><html></html>"), r"^cannot fetch \S+: http\S+: gives a web page, not the file$"),
    "nothing": (whole(b""), r"^cannot fetch r2df_d18_l8.pkl: http\S+: gives an empty file$"),
    "another file": (whole(b"weights" * 100), r"r2df_d18_l8.pkl"),  # which is no checkpoint
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a film, a database and class folders; the cache is in it, and only the mirror is asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VMZ_OFFLINE", raising=False)
    every = cache.sources
    monkeypatch.setattr(cache, "sources", lambda row: every(row)[:1])
    video(tmp_path / "film.mp4", 1, frames=12)
    (tmp_path / "videos").mkdir()
    database(tmp_path / "videos", 2).rename(tmp_path / "db")
    for name in ("run", "swim"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for number in range(2):
            video(tmp_path / "folder" / name / f"{number}.mp4", number, frames=12)
    return tmp_path


@pytest.mark.parametrize("what", ANSWERS)
@pytest.mark.parametrize("name", TOOLS)
def test_what_is_not_the_file(name: str, what: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, says = ANSWERS[what]
    with serving({f"/{ROW.file}": answer}) as (address, seen):
        monkeypatch.setenv("VMZ_MIRROR", address)
        with pytest.raises(VmzError, match=says) as found:
            tool(f"{name}.py")([*TOOLS[name], f"--zoo={ROW.name}"])
    assert len(seen) == 1 and "\n" not in str(found.value)
    assert sorted(os.listdir(place / "cache")) == (["fetched.json", ROW.file] if what == "another file" else [])
    assert not (place / "net.mdl").exists() and not (place / "features.npz").exists()


@pytest.mark.parametrize("name", TOOLS)
def test_no_network(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMZ_OFFLINE", "1")
    with pytest.raises(
        UsageError, match=r"^r2df_d18_l8.pkl is not in .*/cache, and VMZ_OFFLINE forbids downloading it"
    ):
        tool(f"{name}.py")([*TOOLS[name], f"--zoo={ROW.name}"])
    assert not (place / "cache").exists()


def test_the_file_is_fetched_once_and_used(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = model_config(ModelSettings.resolved(zoo=ROW.name))
    net = build(config)
    save_pickle(place / "made.pkl", seeded_weights([*net.params, *net.computed_params]))
    with serving({f"/{ROW.file}": whole((place / "made.pkl").read_bytes())}) as (address, seen):
        monkeypatch.setenv("VMZ_MIRROR", address)
        for name in ("predict", "test_net"):
            assert tool(f"{name}.py")([*TOOLS[name], f"--zoo={ROW.name}", "--num_gpus=0"]) == 0
    assert [path for path, _ in seen] == [f"/{ROW.file}"]
    assert len(load_pickle(place / "cache" / str(ROW.file))) == 102 and "1 video, " in capsys.readouterr().out
