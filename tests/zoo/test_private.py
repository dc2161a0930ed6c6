"""Private zoos: one more manifest of the same form, its files, class names and mistakes, and mirrors in an entry."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmz
from tests.model.saved_models import ENGINES, LABELS, entry, private_zoo, weights_of
from tests.support.in_process import tool
from tests.zoo.server import serving, status, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.cli.test_net import configuration
from vmz.errors import UsageError, VmzError

SCHEMA = Path(__file__).resolve().parents[2] / "models_zoo" / "schema.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VMZ_ZOO", "")


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = private_zoo(tmp_path / "zoo")
    monkeypatch.setenv("VMZ_ZOO", str(path))
    return path


def test_it_has_the_form_of_the_published_one(manifest: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text())).validate(json.loads(manifest.read_text()))


@pytest.mark.parametrize("engine", ENGINES)
def test_its_names_are_known_everywhere(
    engine: str, manifest: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert vmz.list_models()[-1] == "our_r3d" and len(vmz.list_models()) == 63
    assert vmz.list_models(data="our videos") == ["our_r3d"]
    found = vmz.weights("our_r3d")
    assert found.meta["categories"] == LABELS and found.meta["licence"] == "ours alone"
    assert found.sources == [str(manifest.parent / "weights" / "own.pkl")] and found.path() == Path(found.sources[0])
    assert found.config.use_convolutional_pred and found.settings.crop_per_clip == 3
    model: Any = vmz.load_model("our-r3d", engine=engine, device="cpu")
    assert model.labels == tuple(LABELS)
    assert np.array_equal(model.weights()["conv1_w"], weights_of()["conv1_w"])

    zoo_tool = tool("zoo.py")
    assert zoo_tool(["list", "--data", "our"]) == 0 and "our_r3d" in capfd.readouterr().out
    assert zoo_tool(["show", "our_r3d"]) == 0 and "wide (as we test)" in capfd.readouterr().out
    assert zoo_tool(["fetch", "our_r3d"]) == 0 and capfd.readouterr().out == f"{found.sources[0]}\n"
    assert zoo_tool(["verify"]) == 0 and "our_r3d: " in capfd.readouterr().out
    assert zoo_tool(["card", "our_r3d"]) == 0
    card = capfd.readouterr().out
    assert "| video@1 | 91.5 % |" in card and "| licence | ours alone |" in card and str(manifest.parent) in card
    assert not (tmp_path / "cache").exists()


def test_the_flag_names_one_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = private_zoo(tmp_path / "one"), private_zoo(tmp_path / "two", entry("other_r3d"))
    found = configuration(["--zoo=our_r3d", f"--zoo_manifest={first}{os.pathsep}{second}", "--test_data=x"])
    assert found.model_depth == 10 and found.crop_per_clip == 3
    assert vmz.load_model("other_r3d", device="cpu").config.model_depth == 10  # from then on in this process
    assert tool("zoo.py")(["list", f"--zoo_manifest={second}", "--data=our"]) == 0
    assert "other_r3d" in capfd.readouterr().out


def test_its_file_alone_has_its_settings(manifest: Path, tmp_path: Path) -> None:
    own = manifest.parent / "weights" / "own.pkl"
    assert zoo.row_of_file(own) is zoo.find("our_r3d")
    save_pickle(tmp_path / "own.pkl", weights_of())
    assert zoo.row_of_file(tmp_path / "own.pkl") is None  # of the same name


def test_from_the_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_pickle(tmp_path / "made.pkl", weights_of())
    content = (tmp_path / "made.pkl").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    answers = {"/b/own.pkl": whole(content), "/c/own.pkl": whole(content + b"?"), "/a/own.pkl": status(404)}
    with serving(answers) as (address, seen):
        urls = {"url": f"{address}/a/own.pkl", "mirrors": [f"{address}/c/own.pkl", f"{address}/b/own.pkl"]}
        checked = entry("checked", **urls, sha256=digest, bytes=len(content))
        wrong = entry("wrong", **urls, sha256="0" * 64, file="wrong.pkl")
        short = entry("short", **urls, bytes=7, file="short.pkl")
        monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "zoo", checked, wrong, short)))
        monkeypatch.setenv("VMZ_MIRROR", f"{address}/mirror")  # of the published files only
        path = zoo.fetch(zoo.find("checked"))
        assert path.read_bytes() == content and path.parent.parent == tmp_path / "cache"
        assert [name for name, _ in seen] == ["/a/own.pkl", "/c/own.pkl", "/b/own.pkl"]
        with pytest.raises(VmzError, match=r"answers 404.*; .*gives another file: its SHA-256 is .*, not 0000"):
            zoo.fetch(zoo.find("wrong"))
        with pytest.raises(VmzError, match=r"gives another file: it has .* bytes, not 7"):
            zoo.fetch(zoo.find("short"))
    assert zoo.fetch(zoo.find("checked")) == path and zoo.verify(zoo.find("checked")).sha256 == digest
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(VmzError, match="is not the file downloaded from"):
        zoo.verify(zoo.find("checked"))


def test_a_local_file_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        entry("other_hash", sha256="0" * 64),
        entry("absent", url="weights/none.pkl"),
        entry("by_address", url=f"file://{tmp_path}/zoo/weights/own.pkl"),
        entry("ftp", url="ftp://host/own.pkl"),
    ]
    monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "zoo", *rows)))
    assert zoo.fetch(zoo.find("by_address")) == tmp_path / "zoo" / "weights" / "own.pkl"
    for name, kind, sentence in (
        ("other_hash", VmzError, "is not the file of other_hash in the manifest: its SHA-256 is .*, not 0000"),
        ("absent", UsageError, "absent: there is no file .*none.pkl, which .*manifest.json names; correct its url"),
        ("ftp", UsageError, "ftp://host/own.pkl is not an http or https address"),
    ):
        with pytest.raises(kind, match=sentence):
            vmz.load_model(name)


@pytest.mark.parametrize(
    ("row", "error", "sentence"),
    [
        ({"name": "r2plus1d_d18_l8"}, UsageError, "r2plus1d_d18_l8 is in the published manifest and in .*; rename one"),
        ({"name": "Our R3D"}, VmzError, "name is 'Our R3D'; see models_zoo/schema.json"),
        ({"file": "../own.pkl"}, VmzError, "row 'x': file is '../own.pkl'"),
        ({"file": "own.exe"}, VmzError, "row 'x': file is 'own.exe'"),
        ({"url": None}, VmzError, "row 'x': file and url must both be there, or both be null"),
        ({"sha256": "12"}, VmzError, "row 'x': sha256 is '12'"),
        ({"bytes": "many"}, VmzError, r"models\[0\].bytes is 'many', not an integer or null"),
        ({"mirrors": "http://a"}, VmzError, r"models\[0\].mirrors is 'http://a', not a list"),
        ({"protocol": "ours"}, VmzError, "row 'x': there is no protocol 'ours'"),
        ({"manifest": "/etc"}, VmzError, "row 'x': .*manifest"),
        ({"size": 3}, VmzError, "row 'x': .*size"),
        ({"flags": {**entry("x")["flags"], "crop_sise": 9}}, VmzError, "row 'x': it has an unknown flag 'crop_sise'"),
        ({"flags": {"model_name": "r3d"}}, VmzError, "has no 'crop_size'"),
        ({"flags": {**entry("x")["flags"], "crop_size": "9"}}, VmzError, r"flags.crop_size is '9', not an integer"),
    ],
)  # fmt: skip
def test_mistakes(
    row: dict[str, Any], error: type[Exception], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "zoo", {**entry("x"), **row})))
    with pytest.raises(error, match=sentence) as raised:
        zoo.rows()
    assert str(tmp_path) in str(raised.value)


def test_more_mistakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = private_zoo(tmp_path / "zoo", entry("x"), entry("y"))
    twice = private_zoo(tmp_path / "other", entry("y"))
    monkeypatch.setenv("VMZ_ZOO", f"{path}{os.pathsep}{twice}")
    with pytest.raises(UsageError, match=r"the model y is in .*zoo/manifest.json and in .*other/manifest.json; rename"):
        vmz.list_models()
    monkeypatch.setenv("VMZ_ZOO", str(tmp_path / "none.json"))
    with pytest.raises(UsageError, match=r"VMZ_ZOO=.*none.json: there is no such file"):
        vmz.list_models()
    monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "doubled", entry("x"), entry("x"))))
    with pytest.raises(VmzError, match="has two rows that are called 'x'"):
        vmz.list_models()
    (tmp_path / "text.json").write_text("{")
    monkeypatch.setenv("VMZ_ZOO", str(tmp_path / "text.json"))
    with pytest.raises(VmzError, match=r"text.json is not JSON"):
        vmz.list_models()


def test_wrong_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [entry("few"), entry("absent", labels="nowhere.txt")]
    monkeypatch.setenv("VMZ_ZOO", str(private_zoo(tmp_path / "zoo", *rows)))
    (tmp_path / "zoo" / "names.txt").write_text("one\ntwo\n")
    with pytest.raises(VmzError, match=r"the labels of few, .*names.txt, are 2, but the model has 4 classes"):
        vmz.load_model("few")
    with pytest.raises(UsageError, match=r"cannot read the labels of absent=.*nowhere.txt: No such file"):
        vmz.load_model("absent")
