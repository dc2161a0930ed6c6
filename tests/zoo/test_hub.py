"""hf-hub:org/name: a saved folder from a server, fetched once, and what a server may answer instead."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmz
from tests.model.saved_models import ENGINES, LABELS, own_checkpoint
from tests.support.in_process import tool
from tests.zoo.server import Answer, leading_to, serving, status, whole
from vmz.cli.test_net import configuration
from vmz.errors import UsageError, VmzError
from vmz.zoo.download import Patience
from vmz.zoo.hub import fetch_hub, hub_folder

pytest.importorskip("safetensors")

BASE = "/ours/net/resolve/main"
QUICK = Patience(attempts=2, seconds=0.5, pause=0.01)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("hub")
    model: Any = vmz.load_model(own_checkpoint(where / "trained.pkl"), device="cpu")
    model.save(where / "net")
    return where / "net"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    assert not list((tmp_path / "cache").rglob("*.part")), "a part is hidden"


def files(folder: Path, base: str = BASE, **others: Answer) -> dict[str, Answer]:
    """What a server answers. others: by the name of the file without its ending."""
    answers = {f"{base}/{path.name}": whole(path.read_bytes()) for path in folder.iterdir()}
    for name, answer in others.items():
        (key,) = [key for key in answers if key.rpartition("/")[2].startswith(f"{name}.")]
        answers[key] = answer
    return answers


@pytest.mark.parametrize("engine", ENGINES)
def test_fetched_once(engine: str, folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own: Any = vmz.load_model(folder, engine=engine, device="cpu")
    answers = files(folder)
    answers["/cdn/weights"] = answers[f"{BASE}/model.safetensors"]
    with serving(answers) as (address, seen):
        answers[f"{BASE}/model.safetensors"] = leading_to(f"{address}/cdn/weights")
        monkeypatch.setenv("HF_ENDPOINT", f"{address}/")
        model: Any = vmz.load_model("hf-hub:ours/net", engine=engine, device="cpu")
    assert [name.rpartition("/")[2] for name, _ in seen] == [
        "config.json", "preprocessor_config.json", "labels.json", "model.safetensors", "weights",
    ]  # fmt: skip
    assert model.labels == tuple(LABELS) and model.settings.clip_per_video == 3 and model.source == "ours--net@main"
    assert all(np.array_equal(array, own.weights()[blob]) for blob, array in model.weights().items())

    monkeypatch.setenv("VMZ_OFFLINE", "1")  # what is in the cache is used
    assert vmz.load_model("hf-hub:ours/net@main", device="cpu").labels == tuple(LABELS)
    found = configuration(["--load_model_path=hf-hub:ours/net", "--test_data=x"])
    assert found.load_model_path == str(hub_folder("hf-hub:ours/net")) and found.model_name == "r3d"
    with pytest.raises(UsageError, match=r"hf-hub:ours/other is not in .*, and VMZ_OFFLINE forbids downloading it"):
        vmz.load_model("hf-hub:ours/other")


def test_the_tool(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    revision = "ab" * 20
    base = f"/ours/net/resolve/{revision}"
    name = f"hf-hub:ours/net@{revision}"
    with serving(files(folder, base)) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        assert tool("zoo.py")(["fetch", name]) == 0
        where = Path(capfd.readouterr().out.strip())
        assert where == hub_folder(name) and (where / "model.safetensors").is_file()
        assert tool("zoo.py")(["card", name]) == 0 and "video@1 | 0.7500" in capfd.readouterr().out
        assert tool("zoo.py")(["verify", name]) == 0 and capfd.readouterr().out.count("SHA-256") == 4
        (where / "config.json").write_text("{}")
        assert tool("zoo.py")(["verify", name]) == 1
        assert "config.json is not the file downloaded from" in capfd.readouterr().err
    changed = {**json.loads((folder / "config.json").read_text()), "licence": "another"}
    with serving(files(folder, base, config=whole(json.dumps(changed).encode()))) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(VmzError, match="gives another file: its SHA-256 is"):  # a commit does not change
            fetch_hub(name, again=True)
    with serving(files(folder, BASE, labels=status(404))) as (address, _):
        monkeypatch.setenv("HF_ENDPOINT", address)
        model: Any = vmz.load_model("hf-hub:ours/net", device="cpu")
        assert model.labels is None


@pytest.mark.parametrize(
    ("others", "error", "sentence"),
    [
        ({"config": status(404)}, VmzError, "hf-hub:ours/net has no config.json at .* \\(it answers 404\\)"),
        ({"preprocessor_config": status(404)}, VmzError, "hf-hub:ours/net has no preprocessor_config.json"),
        ({"model": status(404)}, VmzError, "hf-hub:ours/net has no model.safetensors"),
        ({"config": status(401)}, VmzError, "config.json: .*answers 401"),
        ({"model": whole(b"<!DOCTYPE html><html>")}, VmzError, "model.safetensors: .*gives a web page, not the file"),
        ({"config": whole(b'{"model_type": "vit"}')}, UsageError, "config.json is not of a model of VMZ"),
        ({"config": whole(b'{"vmz_format": 9}')}, VmzError, "has vmz_format 9, but this version reads 1"),
        ({"labels": whole(b"[1]")}, VmzError, r"labels.json is not as expected: \[0\] is 1, not text"),
        ({"preprocessor_config": whole(b"{")}, VmzError, "preprocessor_config.json is not JSON"),
    ],
)  # fmt: skip
def test_what_a_server_may_answer(
    others: dict[str, Any], error: type[Exception], sentence: str, folder: Path, cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with serving(files(folder, **others)) as (address, seen):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(error, match=sentence):
            fetch_hub("hf-hub:ours/net", QUICK)
    if "model" not in others:
        assert not [name for name, _ in seen if name.endswith("safetensors")]  # nothing large comes before that is seen
    assert not (hub_folder("hf-hub:ours/net") / "model.safetensors").exists()


def test_a_cut_is_resumed(folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (folder / "model.safetensors").read_bytes()
    answers = files(folder, model=whole(content, cut=1000))
    with serving(answers) as (address, seen):
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(VmzError, match="the downloaded part is kept"):
            fetch_hub("hf-hub:ours/net", Patience(attempts=1, seconds=0.5, pause=0.01))
        answers[f"{BASE}/model.safetensors"] = whole(content)
        found = fetch_hub("hf-hub:ours/net", QUICK)
    assert seen[-1] == (f"{BASE}/model.safetensors", "bytes=1000-")
    assert (found / "model.safetensors").read_bytes() == content


def test_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        VmzError, match=r"cannot fetch config.json: http://127.0.0.1:9/ours/net/resolve/main/config.json"
    ):
        fetch_hub("hf-hub:ours/net", QUICK)


@pytest.mark.parametrize(
    "name", ["hf-hub:", "hf-hub:net", "hf-hub:../net", "hf-hub:a/..", "hf-hub:a/b/c", "hf-hub:a/b@", "hf-hub:a/b@../c",
             "hf-hub:a/b@c/", "hf-hub:a b/c", "hf-hub:a/b\n"]
)  # fmt: skip
def test_names(name: str) -> None:
    with pytest.raises(UsageError, match="is not a name of the hub; it must be hf-hub:org/name"):
        vmz.load_model(name)


def test_a_local_folder_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="local-dir:/none: there is no folder /none"):
        vmz.load_model("local-dir:/none")
