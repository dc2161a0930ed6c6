"""The manifest against its schema and the published facts; names, flags and the tool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.goldens.recordings import SHARED, needs_shared
from vmz import zoo
from vmz.errors import UsageError, VmzError

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = 59  # links in the published tables; two more are in a tutorial and in an issue


def run_tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "zoo.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_manifest_fits_its_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "models_zoo" / "schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(dict(zoo.manifest()))


def test_names_and_files_are_unique_and_resolve() -> None:
    rows = zoo.rows()
    assert len({row.name for row in rows}) == len(rows) == 62
    files = [row.file for row in rows if row.file is not None]
    assert len(set(files)) == len(files) == CHECKPOINTS + 2
    for row in rows:
        assert zoo.find(row.name) is row
        if row.file is not None:
            assert zoo.find(row.file) is row
            assert zoo.find(row.file.rsplit(".", 1)[0].upper().replace("_", "-")) is row
        if row.initialised_from is not None:
            assert zoo.find(row.initialised_from).name == row.initialised_from
        if row.protocol is not None:
            assert row.protocol in zoo.manifest()["protocols"]


@needs_shared
def test_every_published_fact_is_in_the_manifest() -> None:
    facts = json.loads((SHARED / "spec" / "zoo.json").read_text())
    seen = set()
    for fact in facts["rows"]:
        for part in ("pretrained", "finetuned"):
            if fact[part] is None:
                continue
            row = zoo.find(fact[part]["file"])
            seen.add(row.file)
            assert row.url == f"https://www.dropbox.com/{fact[part]['url_tail']}?dl=0"
            assert row.source == fact["source"]
            assert_same_network(row, fact, fact[part])
            if part == "finetuned":
                assert_same_figures(row, fact)
    assert len(seen) == CHECKPOINTS == facts["counts"]["distinct_files"]
    for entry in facts["external_reference_accuracies"]["rows"]:
        (fact,) = [fact for fact in facts["rows"] if fact["id"] == entry["id"]]
        row = zoo.find(fact["finetuned"]["file"])
        assert row.external is not None
        assert [row.external["video_top1"], row.external["video_top5"]] == entry["mmaction2"]


def assert_same_network(row: zoo.ZooRow, fact: dict[str, Any], part: dict[str, Any]) -> None:
    flags = row.flags
    assert (flags["model_name"], flags["model_depth"]) == (fact["model_name"], fact["model_depth"])
    assert flags["num_labels"] == part["num_labels"]
    assert flags["num_channels"] == fact.get("num_channels", 3)
    assert flags["crop_size"] == fact["crop_size"]
    assert flags["use_pool1"] == fact["use_pool1"]
    length = "clip_length_of" if fact["modality"] == "optical flow" else "clip_length_rgb"
    assert flags[length] == fact["clip_length"]
    assert row.modality == fact["modality"]
    assert row.input_size_as_printed == fact["input_size_as_printed"]
    # VMZ#55: "the models in models.md", of which the facts mark those of Table 2 only
    assert (row.input_fps == 15) == fact["source"].startswith("c2/tutorials/models.md")
    assert row.input_fps == 15 or "input_fps_claim" not in fact


def assert_same_figures(row: zoo.ZooRow, fact: dict[str, Any]) -> None:
    printed = row.published
    for key in ("clip_top1", "video_top1", "video_top5", "gflops", "params_m"):
        assert getattr(printed, key) == fact[key]
    assert (row.train_data, row.pretrain_data) == (fact["finetune_data"], fact["pretrain_data"])
    parent = fact["pretrained"]
    assert row.initialised_from == (zoo.find(parent["file"]).name if parent else None)
    if "computed" in fact and fact["gflops"] is not None:
        computed = fact["computed"][f"gmacs_at_crop_{printed.gflops_crop_size}"]
        assert computed == pytest.approx(fact["gflops"], abs=0.11)  # the crop is the one that explains the figure


def test_flags_of_a_row_are_those_of_the_published_scripts() -> None:
    small = zoo.flags(zoo.find("r2plus1d_d18_l8"))
    assert small == {
        "model_name": "r2plus1d", "model_depth": 18, "num_labels": 400, "num_channels": 3, "input_type": 0,
        "clip_length_rgb": 8, "sampling_rate_rgb": 1, "video_res_type": 0, "scale_h": 128, "scale_w": 171,
        "crop_size": 112, "use_pool1": 0, "batch_size": 1,
    }  # fmt: skip
    large = zoo.flags(zoo.find("ir_csn_152_ft_kinetics_from_ig65m"))
    assert (large["crop_size"], large["scale_h"], large["scale_w"], large["video_res_type"]) == (224, 256, 342, 1)
    assert (large["use_pool1"], large["sampling_rate_rgb"], large["clip_length_rgb"]) == (1, 2, 32)


def test_what_was_not_published_must_be_given() -> None:
    row = zoo.find("c3d_sports1m_from_scratch")
    with pytest.raises(UsageError, match=r"num_labels was not published; give --num_labels"):
        zoo.flags(row)
    assert "num_labels" not in zoo.flags(row, given=["num_labels"])


def test_an_unknown_name_suggests_its_neighbours() -> None:
    with pytest.raises(UsageError, match=r"r2plus1d_34_clip32_ft_kinetics_from_ig65m"):
        zoo.find("r2plus1d_34_clip32_ft_kinetics_from_ig56m")
    with pytest.raises(UsageError, match=r"zoo.py list shows all 62"):
        zoo.find("zzz")
    with pytest.raises(UsageError, match=r"--model_name=r2p1d; there are .*ir-csn"):
        zoo.select(model_name="r2p1d")
    with pytest.raises(UsageError, match=r"--data=imagenet22k; there are .*Kinetics-400"):
        zoo.select(data="imagenet22k")


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(VmzError, match=r"no model manifest at .*nowhere"):
        zoo.manifest(tmp_path / "nowhere")
    (tmp_path / "text").write_text("{")
    with pytest.raises(VmzError, match="is not JSON"):
        zoo.manifest(tmp_path / "text")
    (tmp_path / "row").write_text('{"models": [{"name": "x"}]}')
    with pytest.raises(VmzError, match=r"row is not as expected: it has no 'protocols'; see .*schema.json"):
        zoo.rows(tmp_path / "row")


def test_published_gflops_and_parameters_are_those_of_our_nets() -> None:
    from scripts import published_figures as figures

    found = figures.compare_all()
    assert len(found) == 41
    equal = [one for one in found if one.equal]
    (odd,) = [one for one in found if one.equal is False]
    assert len(equal) == 40
    assert odd.row.name in figures.EXPLAINED and odd.params_m == pytest.approx(63.6, abs=0.05)
    assert f"{odd.gmacs:.2f}" == "49.75"
    heard = [one for one in found if zoo.hears(one.row)]
    assert len(heard) == 3 and all(f"{one.gmacs:.3f}" == "110.090" for one in heard)
    csn = next(one for one in equal if one.row.name == "ir_csn_152_ft_kinetics_from_ig65m")
    assert csn.gmacs == pytest.approx(96.715669504, abs=1e-9)  # the log in the original's tutorial
    assert csn.params_m == pytest.approx(29.551744, abs=1e-9)
    assert figures.PAGE.read_text() == figures.page(found), "stale: run scripts/published_figures.py --write"


def test_the_tool_lists_and_filters() -> None:
    listed = run_tool("list", "--model_name", "ir-csn", "--data", "ig-65m")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()[2:-1]] == [
        "ir_csn_50_pretrained_ig65m",
        "ir_csn_50_ft_kinetics_from_ig65m",
        "ir_csn_152_ig65m_from_scratch",
        "ir_csn_152_ft_kinetics_from_ig65m",
    ]
    assert "82.6" in listed.stdout and "29.6 M" in listed.stdout
    assert len(json.loads(run_tool("list", "--json").stdout)) == 62


def test_the_tool_shows_one() -> None:
    shown = run_tool("show", "ir_csn_152_ft_kinetics_from_ig65m")
    assert shown.returncode == 0
    assert "GFLOPs             96.7 at crop 256" in shown.stdout
    assert "  --sampling_rate_rgb=2" in shown.stdout
    row = json.loads(run_tool("show", "r2.5d_d18_l8.pkl", "--json").stdout)
    assert row["name"] == "r2plus1d_d18_l8" and row["published"]["video_top1"] == 65.3


def test_the_tool_refuses_in_one_sentence() -> None:
    refused = run_tool("show", "r2plus1d_99")
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert len(refused.stderr.strip().splitlines()) == 1 and "r2plus1d_99" in refused.stderr
