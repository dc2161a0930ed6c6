"""print_net.py against the nets the original builders made: op for op, in one process."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.goldens.e2e import run_tool
from tests.goldens.recordings import golden_path


def print_net(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_tool("print_net.py", *arguments)


def golden_entries() -> list[dict[str, Any]]:
    return list(json.loads(golden_path("nets/index.json").read_text()))


def test_every_golden_net_is_identical(tmp_path: Path) -> None:
    entries = [entry for entry in golden_entries() if "file" in entry]
    configs = tmp_path / "configs.json"
    configs.write_text(json.dumps([entry["config"] for entry in entries]))
    answer = print_net("--json", "--config", str(configs))
    assert answer.returncode == 0, answer.stderr
    lines = answer.stdout.splitlines()
    different = []
    for entry, line in zip(entries, lines):
        golden = json.loads(gzip.decompress(golden_path(f"nets/{entry['file']}").read_bytes()))
        # As text, so that 1 and 1.0 differ.
        if json.dumps(json.loads(line), sort_keys=True) != json.dumps(golden, sort_keys=True):
            different.append(entry["id"])
    assert len(lines) == len(entries) >= 113
    assert different == []


def test_what_the_original_asserts_against_is_refused_by_name(tmp_path: Path) -> None:
    refused = [e["config"] for e in golden_entries() if e.get("raises", "").startswith("AssertionError")]
    configs = tmp_path / "configs.json"
    configs.write_text(json.dumps(refused))
    answer = print_net("--json", "--config", str(configs))
    assert answer.returncode == 2
    errors = [json.loads(line)["error"] for line in answer.stdout.splitlines()]
    assert len(errors) == len(refused) >= 5
    assert all("model_depth" in error for error in errors)


def test_a_depth_that_the_audio_visual_networks_lack_is_refused(tmp_path: Path) -> None:
    refused = [e["config"] for e in golden_entries() if e.get("raises") == "KeyError: 10"]
    configs = tmp_path / "configs.json"
    configs.write_text(json.dumps(refused))
    answer = print_net("--json", "--config", str(configs))
    assert answer.returncode == 2
    errors = [json.loads(line)["error"] for line in answer.stdout.splitlines()]
    assert len(errors) == len(refused) >= 4 and all("model_depth is 10" in error for error in errors)


def test_the_table_of_an_audio_visual_network() -> None:
    answer = print_net("--model_name=av_resnet-r3d", "--model_depth=18", "--clip_length_rgb=8", "--num_labels=20")
    assert answer.returncode == 0, answer.stderr
    assert "av_resnet-r3d depth 18, clip 3x8x112x112, log-mel maps 1x100x40: 165 ops" in answer.stdout.splitlines()[-1]
    answer = print_net("--model_name=a_resnet", "--model_depth=68")
    assert "a_resnet depth 68, log-mel maps 1x100x40: " in answer.stdout.splitlines()[-1]


def test_the_table_names_ops_and_totals() -> None:
    answer = print_net("--model_name=r2plus1d", "--model_depth=18", "--clip_length_rgb=8", "--num_labels=101")
    assert answer.returncode == 0
    lines = answer.stdout.splitlines()
    assert lines[0].split() == ["op", "blob", "output", "params", "GMACs"]
    assert lines[2].split() == ["Conv", "gpu_0/conv1_middle", "1x45x8x56x56", "6,615", "0.1660"]
    assert "20.748 GMACs a clip, 33.191 M weights" in lines[-1]


def test_bad_requests_are_one_sentence_and_status_2(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    for arguments, named in [
        (["--model_name=r2plus1e"], "r2plus1d"),
        (["--clip_length_rgb=7"], "clip_length 7 is odd"),
        (["--use_pool1=2"], "'2' is not 0 or 1"),
        (["--no_such_flag=1"], "--no_such_flag"),
        (["--config", str(tmp_path / "missing.json")], "missing.json"),
        (["--config", str(broken)], "broken.json is not JSON"),
        (["--zoo=nothing_like_it"], "nothing_like_it"),
    ]:
        answer = print_net(*arguments)
        assert answer.returncode == 2, arguments
        assert answer.stderr.startswith("error: ") and len(answer.stderr.splitlines()) == 1
        assert named in answer.stderr


def test_zoo_sets_the_flags_and_given_ones_win() -> None:
    name = "r2plus1d_34_clip32_ft_kinetics_from_ig65m"
    assert "r2plus1d depth 34, clip 3x32x112x112" in print_net("--zoo", name).stdout
    assert "r2plus1d depth 34, clip 3x8x112x112" in print_net("--zoo", name, "--clip_length_rgb=8").stdout
    of_flow = print_net("--zoo", "r2plus1d_d34_l32_ft_sports1m_optical_flow")
    assert "r2plus1d depth 34, clip 2x32x112x112" in of_flow.stdout
