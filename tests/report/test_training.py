from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any, Optional

import pytest

from vmz import invocation
from vmz.errors import UsageError, VmzError
from vmz.report import training
from vmz.results.training import Epoch, Point, TrainingResult
from vmz.training.config import TrainConfig


def points(iterations: int, every: int = 1) -> list[Point]:
    """Of ten epochs; the loss is 10 / iteration, the accuracy the iteration's share of all."""
    return [
        Point(
            epoch=(iteration - 1) * 10 // iterations,
            iteration=iteration,
            learning_rate=0.01 if iteration <= iterations // 2 else 0.001,
            loss=10 / iteration,
            accuracy=iteration / iterations,
            clips_per_second=20.0,
        )
        for iteration in range(every, iterations + 1, every)
    ]


def epochs(iterations: int) -> list[Epoch]:
    """The account of these epochs: made up, so that it shows where the page takes its figures from."""
    return [
        Epoch(
            epoch=number,
            iteration=(number + 1) * iterations // 10,
            learning_rate=0.01 if number < 5 else 0.001,
            loss=0.6015,
            accuracy=0.7222,
            clips_per_second=17.5,
            figures={"clip@1": 0.25, "video@1": (number + 1) / 20},
            test_loss=1.5 - number / 10,
        )
        for number in range(10)
    ]


def result(points: Sequence[Point], epochs: Sequence[Epoch] = (), **settings: Any) -> TrainingResult:
    config = TrainConfig(**{"model_name": "r2plus1d", "model_depth": 18, **settings})
    return TrainingResult(points, epochs, 10, config, {"torch": "2"})


def readings(html: str) -> list[dict[str, Any]]:
    return [json.loads(unescape(text)) for text in re.findall(r'data-plot="([^"]*)"', html)]


def test_the_page_is_written_with_all_its_curves(tmp_path: Path) -> None:
    path = tmp_path / "training.html"
    training.write(path, result(points(100), epochs(100)))
    html = path.read_text(encoding="utf-8")
    assert html.startswith("<!doctype html>") and "<h1>simple_c3d</h1>" in html
    plots = readings(html)
    assert [len(plot["series"]) for plot in plots] == [2, 3, 1, 1]
    loss, tested = plots[0]["series"]
    assert tested["values"] == pytest.approx([1.5 - number / 10 for number in range(10)])
    assert html.count('class="best" style="left:100.00%"') == 4 and html.count("Best: epoch 9") == 4
    assert '<tr class="best"><th scope="row">9<span class="badge">Best</span></th>' in html
    assert loss["values"][0] == 10 and loss["at"][0] == 0 and loss["at"][-1] == 1
    assert [len(series["values"]) for series in plots[1]["series"]] == [100, 10, 10]
    assert (
        "Best video@1 of the test 50.00\u00a0%, at iteration 100 (epoch 9)" in html
        and "Test video@1</th>" in html
        and "mAP" not in html
    )


def test_settings_are_folded_those_that_differ_first() -> None:
    html = training.page(result(points(100), epochs(100), save_model_name="my run", num_epochs=10))
    assert "<h1>my run</h1>" in html and "r2plus1d-18, 100 iterations, 9 of 10 epochs" in html
    section = html[html.index('<section id="settings">') :]
    changed, rest = section.index("differ from their defaults</summary>"), section.index("at their defaults</summary>")
    assert changed < section.index("<code>--num_epochs</code></th>") < section.index(">50</td>") < rest
    assert rest < section.index("<code>--gamma</code></dt>") and section.count("<details><summary>") == 2


def test_reasons_of_recommended_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_now", None)
    invocation.note_reasons({"base_learning_rate": "a new classifier"})
    html = training.page(result(points(10), base_learning_rate=0.02, num_epochs=7))
    rows = re.findall(r"<tr><th scope=\"row\"><code>--(\w+)</code></th>(.*?)</tr>", html)
    names = [name for name, _ in rows]
    assert names.index("num_epochs") < names.index("base_learning_rate") == len(names) - 1
    assert rows[-1][1].endswith("<td>a new classifier</td>") and "Recommended because" in html


def test_several_labels_have_a_map() -> None:
    epoch = Epoch(1, 8, 0.01, loss=0.5, clips_per_second=17.5, figures={"mAP": 0.75, "mAUC": 0.9})
    html = training.page(result([Point(1, 8, loss=0.5)], [epoch]))
    assert [len(plot["series"]) for plot in readings(html)] == [1, 1]
    assert "Best mAP of the test 75.00" in html and "Test mAP</th>" in html and "video@1" not in html


def test_a_long_run_stays_a_small_page() -> None:
    entries = points(200_000)
    html = training.page(result(entries, epochs(200_000)))
    assert len(html) < 210_000
    loss = readings(html)[0]["series"][0]
    assert 200 <= len(loss["values"]) <= 300
    first = entries[: round(len(entries) / 300)]
    assert loss["values"][0] == pytest.approx(sum(point.loss or 0 for point in first) / len(first), rel=0.01)
    assert html.count('class="band') == 4


def rows_of_epochs(html: str) -> list[list[str]]:
    """The cells of the table of epochs, row by row."""
    rows = re.findall(r"<tr[^>]*><th scope=\"row\">(\d+)(?:<span.*?</span>)?</th>(.*?)</tr>", html, re.S)
    return [[number, *re.findall(r"<td[^>]*>(.*?)</td>", cells, re.S)] for number, cells in rows]


def test_epochs_are_the_runs_own_account() -> None:
    """Not worked out from the points: those are of unequal numbers of clips."""
    rows = rows_of_epochs(training.page(result(points(100), epochs(100))))
    assert [int(row[0]) for row in rows] == list(range(10))
    assert rows[9] == ["9", "0.001", "0.6015", "0.6000", "72.22\u00a0%", "25.00\u00a0%", "50.00\u00a0%", "17.5"]
    assert rows_of_epochs(training.page(result(points(100)))) == []


def test_an_epoch_with_little_in_it() -> None:
    """As one that was resumed from a checkpoint of the original's."""
    little = [Epoch(4, 80), Epoch(5, 100, loss=float("nan"), figures={})]
    assert rows_of_epochs(training.page(result(points(100), little))) == [["4"], ["5"]]


def test_points_of_many_clips_count_for_more_where_several_are_one() -> None:
    odd, even = Point(1, loss=1.0, clips=30, clips_per_second=1.0), Point(1, loss=2.0, clips=10, clips_per_second=2.0)
    entries = [replace(odd if iteration % 2 else even, iteration=iteration) for iteration in range(1, 200_001)]
    plots = readings(training.page(result(entries)))
    loss, speed = plots[0]["series"][0]["values"], plots[1]["series"][0]["values"]
    assert loss == pytest.approx([1.25] * len(loss), abs=0.002)
    assert speed == pytest.approx([40 / 35] * len(speed), abs=0.002)  # 40 clips in 30 + 5 seconds


def test_values_that_are_not_finite_are_said_and_not_drawn() -> None:
    entries = points(100)
    entries[4] = replace(entries[4], loss=float("nan"))
    html = training.page(result(entries))
    assert "Training, Loss: 1 value is not finite and not drawn" in html
    assert "NaN" not in html and len(readings(html)[0]["series"][0]["values"]) == 99


@pytest.mark.parametrize(
    ("loss", "figures"), [(None, None), (1.0, None), (None, {"video@1": 0.25}), (0.0, None), (1.0, {"mAP": 0.5})]
)
def test_one_point_with_little_in_it(loss: Optional[float], figures: Optional[dict[str, float]]) -> None:
    html = training.page(result([Point(1, 1, loss=loss)], [Epoch(1, 1, figures=figures)]))
    assert len(readings(html)) == sum(part is not None for part in (loss, figures))


def test_an_evaluation_alone_has_a_page() -> None:
    """As of a run that went on from the original's last checkpoint, and only tested it."""
    html = training.page(result([], [Epoch(1, 80, figures={"clip@1": 0.25, "video@1": 0.5})]))
    assert "80 iterations, 1 of 10 epochs." in html and "Best video@1 of the test 50.00" in html


def test_what_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs a point or an evaluation"):
        training.page(result([], [Epoch(1, 80)]))
    with pytest.raises(VmzError, match="cannot write"):
        training.write(tmp_path / "nowhere" / "page.html", result(points(10)))


def test_settings_are_text_whatever_they_hold() -> None:
    html = training.page(result(points(10), train_data="<script>alert(1)</script>", jitter_scales="128,160"))
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html and "128,160" in html
