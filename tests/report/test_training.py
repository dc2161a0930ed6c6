from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from vmz.errors import UsageError, VmzError
from vmz.report import training


def history(iterations: int, every: int = 1) -> list[dict[str, Any]]:
    """Ten epochs; the loss is 10 / iteration, the accuracy the iteration's share of all."""
    entries: list[dict[str, Any]] = []
    for iteration in range(every, iterations + 1, every):
        entries.append(
            {
                "iteration": iteration,
                "epoch": (iteration - 1) * 10 // iterations,
                "learning_rate": 0.01 if iteration <= iterations // 2 else 0.001,
                "loss": 10 / iteration,
                "accuracy": iteration / iterations,
                "clips_per_second": 20.0,
            }
        )
        if iteration % (iterations // 10) == 0:
            entries[-1].update({"clip@1": 0.25, "video@1": iteration / iterations / 2})
    return entries


def readings(html: str) -> list[dict[str, Any]]:
    return [json.loads(unescape(text)) for text in re.findall(r'data-plot="([^"]*)"', html)]


def test_the_page_is_written_with_all_its_curves(tmp_path: Path) -> None:
    path = tmp_path / "training.html"
    training.write(path, history(100), {"model_name": "r2plus1d", "model_depth": 18}, {"torch": "2"})
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and "<h1>r2plus1d 18</h1>" in html
    plots = readings(html)
    assert [len(plot["series"]) for plot in plots] == [1, 3, 1, 1]
    (loss,) = plots[0]["series"]
    assert loss["values"][0] == 10 and loss["at"][0] == 0 and loss["at"][-1] == 1
    assert [len(series["values"]) for series in plots[1]["series"]] == [100, 10, 10]
    assert "Best video@1 of the test 50.0" in html and "test video@1</th>" in html and "mAP" not in html


def test_several_labels_have_a_map() -> None:
    html = training.page([{"iteration": 8, "epoch": 1, "loss": 0.5, "mAP": 0.75, "mAUC": 0.9}], {}, {})
    assert [len(plot["series"]) for plot in readings(html)] == [1, 1]
    assert "Best mAP of the test 75.0" in html and "test mAP</th>" in html and "video@1" not in html


def test_a_long_run_stays_a_small_page() -> None:
    entries = history(200_000)
    html = training.page(entries, {}, {})
    assert len(html) < 200_000
    loss = readings(html)[0]["series"][0]
    assert 200 <= len(loss["values"]) <= 300
    first = entries[: round(len(entries) / 300)]
    assert loss["values"][0] == pytest.approx(sum(entry["loss"] for entry in first) / len(first), rel=0.01)
    assert html.count('class="band') == 4


def test_epochs_are_means_and_last_values() -> None:
    html = training.page(history(100), {}, {})
    rows = re.findall(r"<tr><th scope=\"row\">(\d+)</th>(.*?)</tr>", html, re.S)
    assert [int(number) for number, _ in rows] == list(range(10))
    assert "95.5\u00a0%" in rows[9][1] and "50.0\u00a0%" in rows[9][1] and "0.001" in rows[9][1]


def test_values_that_are_not_finite_are_said_and_not_drawn() -> None:
    entries = history(100)
    entries[4]["loss"] = float("nan")
    html = training.page(entries, {}, {})
    assert "training loss: 1 of its values are not finite" in html
    assert "NaN" not in html and len(readings(html)[0]["series"][0]["values"]) == 99


def test_what_a_resumed_run_overtook_is_left_out() -> None:
    entries = history(100)
    html = training.page([*entries[:60], *entries[40:]], {}, {})
    assert len(readings(html)[0]["series"][0]["values"]) == 100
    assert "20 entries after it are not shown" in html


@pytest.mark.parametrize("entry", [{}, {"loss": 1.0}, {"loss": None, "video@1": 0.25}, {"loss": 0.0}])
def test_one_entry_with_little_in_it(entry: dict[str, Any]) -> None:
    html = training.page([{"iteration": 1, **entry}], {}, {})
    assert len(readings(html)) == len([value for value in entry.values() if value is not None])


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        training.page([], {}, {})
    with pytest.raises(UsageError, match="no iteration: it has loss"):
        training.page([{"loss": 1}], {}, {})
    with pytest.raises(VmzError, match="cannot write"):
        training.write(tmp_path / "nowhere" / "page.html", history(10), {}, {})


def test_settings_are_text_whatever_they_hold() -> None:
    html = training.page(history(10), {"train_data": "<script>alert(1)</script>", "jitter": [1, 2], "none": None}, {})
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html and "1, 2" in html
