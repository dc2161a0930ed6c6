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


def epochs_of(entries: list[dict[str, Any]], several_labels: bool = False) -> list[dict[str, Any]]:
    """The run's own account of these epochs: made up, so that it shows where the page takes its figures from."""
    names = ("mAP", "mAUC") if several_labels else ("clip@1", "video@1")
    tested = [entry for entry in entries if names[0] in entry]
    return [
        {
            "epoch": entry["epoch"],
            "iteration": entry["iteration"],
            "learning_rate": entry.get("learning_rate", 0.01),
            "loss": 0.6015,
            "accuracy": None if several_labels else 0.7222,
            "clips_per_second": 17.5,
            "figures": {name: entry[name] for name in names},
        }
        for entry in tested
    ]


def readings(html: str) -> list[dict[str, Any]]:
    return [json.loads(unescape(text)) for text in re.findall(r'data-plot="([^"]*)"', html)]


def test_the_page_is_written_with_all_its_curves(tmp_path: Path) -> None:
    path = tmp_path / "training.html"
    epochs = epochs_of(history(100))
    settings = {"model_name": "r2plus1d", "model_depth": 18}
    training.write(path, history(100), settings, {"torch": "2"}, epochs, epochs[9])
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and "<h1>r2plus1d 18</h1>" in html
    plots = readings(html)
    assert [len(plot["series"]) for plot in plots] == [1, 3, 1, 1]
    (loss,) = plots[0]["series"]
    assert loss["values"][0] == 10 and loss["at"][0] == 0 and loss["at"][-1] == 1
    assert [len(series["values"]) for series in plots[1]["series"]] == [100, 10, 10]
    assert (
        "Best video@1 of the test 50.00\u00a0%, at iteration 100 (epoch 9)" in html
        and "test video@1</th>" in html
        and "mAP" not in html
    )


def test_several_labels_have_a_map() -> None:
    entries = [{"iteration": 8, "epoch": 1, "loss": 0.5, "mAP": 0.75, "mAUC": 0.9}]
    (epoch,) = epochs_of(entries, several_labels=True)
    html = training.page(entries, {}, {}, [epoch], epoch)
    assert [len(plot["series"]) for plot in readings(html)] == [1, 1]
    assert "Best mAP of the test 75.00" in html and "test mAP</th>" in html and "video@1" not in html


def test_a_long_run_stays_a_small_page() -> None:
    entries = history(200_000)
    html = training.page(entries, {}, {})
    assert len(html) < 200_000
    loss = readings(html)[0]["series"][0]
    assert 200 <= len(loss["values"]) <= 300
    first = entries[: round(len(entries) / 300)]
    assert loss["values"][0] == pytest.approx(sum(entry["loss"] for entry in first) / len(first), rel=0.01)
    assert html.count('class="band') == 4


def rows_of_epochs(html: str) -> list[list[str]]:
    """The cells of the table of epochs, row by row."""
    rows = re.findall(r"<tr><th scope=\"row\">(\d+)</th>(.*?)</tr>", html, re.S)
    return [[number, *re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)] for number, cells in rows]


def test_epochs_are_the_runs_own_account() -> None:
    """Not worked out from the points: those are of unequal numbers of clips."""
    entries = history(100)
    rows = rows_of_epochs(training.page(entries, {}, {}, epochs_of(entries)))
    assert [int(row[0]) for row in rows] == list(range(10))
    assert rows[9] == ["9", "0.001", "0.6015", "72.22\u00a0%", "25.00\u00a0%", "50.00\u00a0%", "17.5"]
    assert rows_of_epochs(training.page(entries, {}, {})) == []


def test_an_epoch_with_little_in_it() -> None:
    """As one that was resumed from a checkpoint of the original's."""
    epochs = [{"epoch": 4, "iteration": 80}, {"epoch": 5, "iteration": 100, "loss": float("nan"), "figures": {}}]
    assert rows_of_epochs(training.page(history(100), {}, {}, epochs)) == [["4"], ["5"]]


def test_points_of_many_clips_count_for_more_where_several_are_one() -> None:
    entries = history(200_000)
    for entry in entries:
        entry["clips"], entry["loss"] = (30, 1.0) if entry["iteration"] % 2 else (10, 2.0)
        entry["clips_per_second"] = entry["loss"]
    plots = readings(training.page(entries, {}, {}))
    loss, speed = plots[0]["series"][0]["values"], plots[3]["series"][0]["values"]
    assert loss == pytest.approx([1.25] * len(loss), abs=0.002)
    assert speed == pytest.approx([40 / 35] * len(speed), abs=0.002)  # 40 clips in 30 + 5 seconds


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
