"""The settings of every published model, against the tables and the scripts of the original; the pages in docs/."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts import settings_tables
from tests.goldens.recordings import SHARED, needs_shared
from vmz import zoo

INPUT_TYPES = {"RGB": 0, "optical flow": 1, "RGB+logmel": 3}
ROWS = [pytest.param(row, id=row.name) for row in zoo.rows()]


def settings(row: zoo.ZooRow, protocol: str = zoo.PUBLISHED) -> dict[str, Any]:
    return settings_tables.tested_with(row, protocol).values()


def test_the_pages_are_current() -> None:
    stale = "stale: run scripts/settings_tables.py --write"
    assert settings_tables.ZOO_PAGE.read_text() == settings_tables.zoo_page(), stale
    page = settings_tables.SETTINGS_PAGE.read_text()
    assert page == settings_tables.settings_page(page), stale
    table = page.partition(settings_tables.BEGIN)[2]
    assert table.count("\n| `") == len(settings_tables.COMMANDS) >= 10


@pytest.mark.parametrize("row", ROWS)
def test_the_crop_is_the_one_that_explains_the_printed_gflops(row: zoo.ZooRow) -> None:
    if row.published.gflops is not None:
        assert settings(row)["crop_size"] == row.published.gflops_crop_size
    assert settings(row, zoo.FAST)["crop_size"] == (row.flags["crop_size"] or settings_tables.UNPUBLISHED)


@pytest.mark.parametrize("row", ROWS)
def test_fast_is_one_centre_crop_and_published_what_its_protocol_says(row: zoo.ZooRow) -> None:
    fast, published = settings(row, zoo.FAST), settings(row)
    assert (fast["clip_per_video"], fast["crop_per_clip"], fast["use_convolutional_pred"]) == (10, 1, 0)
    for flag, value in zoo.published_test(row).items():
        assert published[flag] == value
    csn = str(row.flags["model_name"]).endswith("csn") and row.role == "final"
    assert (published["crop_per_clip"] == 3) == csn == (published["crop_per_inference"] == 1)
    for flag, given in row.flags.items():
        assert given is None or fast[flag] == given


@needs_shared
def test_every_row_takes_the_network_and_clip_of_the_tables() -> None:
    facts = json.loads((SHARED / "spec" / "zoo.json").read_text())["rows"]
    for fact in facts:
        for part in ("pretrained", "finetuned"):
            if fact[part] is None:
                continue
            row = zoo.row_of_file(fact[part]["file"])
            assert row is not None, fact[part]["file"]
            found = settings(row, zoo.FAST)
            flow = fact["modality"] == "optical flow"
            wanted = {
                "model_name": fact["model_name"], "model_depth": fact["model_depth"],
                "num_labels": fact[part]["num_labels"], "crop_size": fact["crop_size"],
                "clip_length_of" if flow else "clip_length_rgb": fact["clip_length"],
                "use_pool1": fact["use_pool1"], "input_type": INPUT_TYPES[fact["modality"]],
            }  # fmt: skip
            for flag, value in wanted.items():
                assert found[flag] == (settings_tables.UNPUBLISHED if value is None else value), (row.name, flag)


@needs_shared
@pytest.mark.parametrize(
    ("script", "name"),
    [("small_10clip_centre", "r2plus1d_d18_l8"), ("large_30view_fcn", "ir_csn_152_ft_kinetics_from_ig65m")],
)
def test_the_published_scripts_are_what_zoo_means(script: str, name: str) -> None:
    facts = json.loads((SHARED / "spec" / "protocols.json").read_text())["test"][script]
    found = settings(zoo.find(name))
    for flag, value in {**facts.get("implied", {}), **facts["flags"]}.items():
        if flag not in ("gpus", "use_local_file", "decode_type"):  # the machine's; 1, evenly spaced, is test_net's own
            assert found[flag] == value, flag


@needs_shared
def test_the_flow_network_reads_flow_as_the_published_script_does() -> None:
    facts = json.loads((SHARED / "spec" / "protocols.json").read_text())["extract_features"]["kinetics_flow"]["flags"]
    found = settings(zoo.find("r2plus1d_d34_l32_ft_sports1m_optical_flow"))
    for flag in ("clip_length_rgb", "clip_length_of", "sampling_rate_of", "frame_gap_of", "do_flow_aggregation"):
        assert found[flag] == facts[flag]
    assert (found["num_channels"], found["input_type"], found["flow_data_type"]) == (2, 1, 0)


def test_the_table_says_where_settings_come_from() -> None:
    page = settings_tables.SETTINGS_PAGE.read_text()
    [issue] = [line for line in page.splitlines() if "--model_name=ip-csn --model_depth=152" in line]
    assert "**published file**: num_channels=3 crop_size=256 clip_length_rgb=32" in issue and "use_pool1=1" in issue
    [ours] = [line for line in page.splitlines() if line.startswith("| `test_net.py --load_model_path=ours.pkl`")]
    assert "**checkpoint**: model_name=r2plus1d model_depth=10" in ours and "video_res_type=1" in ours
    [wrong] = [line for line in page.splitlines() if "--model_depth=34`" in line]
    assert "error: --model_depth=34 contradicts foreign.pkl" in wrong
