from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from tests.report.examples import class_names, evaluation, pictures, scored, scores_of
from vmz import invocation
from vmz.checkpoints.matching import Report
from vmz.report.evaluation import page
from vmz.report.thumbnails import Strip
from vmz.report.videos import MOST_OF_A_KIND, PICTURE_BYTES, chosen, mistakes, scored_videos
from vmz.settings.resolution import Resolution, Sourced
from vmz.video.faults import BadVideo


def test_the_figures_are_those_of_the_results() -> None:
    given = scored(5, 20)
    found = evaluation(given, class_names(5))
    html = page(found, pictures)
    assert html.startswith("<!doctype html>") and "<title>R2.5D-18 on val_lmdb" in html
    for name, value in found.figures.items():
        assert name in html and f"{value:.2%}".replace("%", "\u00a0%") in html
    assert "Clip metric" in html and "Video metric: the mean of a video's 10 clips" in unescape(html)
    assert "--crop_size=128 instead of 112" in html and "re-encode them with ffmpeg -r 15" in html


def test_the_worst_class_and_the_worst_video_come_first() -> None:
    given = scores_of(
        ["a", "b", "c", "d"],
        np.array([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.1, 0.2, 0.7], [0, 1, 0]], np.float32),
        np.array([1, 1, 2, 2]),
    )
    found = scored_videos(given)
    assert [(video.key, video.right, video.truth[0].label, video.others[0].label, video.rank) for video in found] == [
        ("d", False, 2, 1, 2),
        ("a", False, 1, 0, 2),
        ("b", False, 1, 0, 2),
        ("c", True, 2, 1, 1),
    ]
    html = page(evaluation(given, ["zero", "one", "two"]))
    rows = re.findall(r'<tr><th scope="row">(\w+)', html[html.index('id="classes"') : html.index('id="confusions"')])
    assert rows == ["one", "two"]


def test_several_labels() -> None:
    given = scores_of(
        ["a", "b", "c"],
        np.array([[0.9, 0.8, 0.1], [0.2, 0.3, 0.1], [0.9, 0.2, 0.3]], np.float32),
        np.array([[1, 0, 0], [0, 0, 0], [0, 0, 1]]),
    )
    missed, alarms = mistakes(given)
    assert [(one.key, one.found.label, one.truth) for one in missed] == [("c", 2, (2,)), ("a", 0, (0,))]
    assert [(one.key, one.found.label) for one in alarms] == [
        ("c", 0), ("a", 1), ("b", 1), ("b", 0), ("c", 1), ("a", 2), ("b", 2),
    ]  # fmt: skip
    assert [(video.key, video.right) for video in scored_videos(given)] == [("c", False), ("b", True), ("a", True)]
    html = page(evaluation(given))
    assert "mAUC" in html and "Has none of the classes" in html and 'id="confusions"' not in html
    assert "Missed: true classes with the lowest scores" in html and "False alarms: absent classes" in html


def test_pictures_are_limited_in_all() -> None:
    given = scored(400, 2)

    def large(keys: Sequence[str]) -> Iterator[tuple[str, str, Callable[[], Strip]]]:
        return ((key, "", lambda: Strip(b"\xff\xd8" + bytes(PICTURE_BYTES // 4), 2, 4, 4)) for key in keys)

    html = page(evaluation(given), large)
    assert html.count("data:image/jpeg") == 3 and html.count("No picture") > 300


def test_right_videos_of_every_class_are_there() -> None:
    given = scored(100, 8)
    every = scored_videos(given)
    assert sorted(video.key for video in every) == sorted(given.keys)
    shown = chosen(every)
    right = [video for video in shown if video.right]
    assert len(right) == MOST_OF_A_KIND and len(shown) - len(right) <= MOST_OF_A_KIND
    able = {video.truth[0].label for video in every if video.right}
    assert {video.truth[0].label for video in right} == able
    html = page(evaluation(given, class_names(100)), pictures)
    number = sum(video.right for video in every)
    assert f"Here are 200 of {number} right ones" in html and html.count('class="card right"') == 200


def test_names_the_date_the_command_and_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_now", None)
    invocation.begin(["--test_data=my <b>db", "--report=x.html"], "vmz.cli.test_net", given=True)
    html = page(evaluation(scored(5, 20), class_names(5)), pictures)
    assert invocation.current().date in html and "vmz test-net &#39;--test_data=my &lt;b&gt;db&#39;" in html
    assert "<dt>Device</dt><dd>cuda:0</dd>" in html and "cuda:0 (found by itself)" in html
    assert '<p class="name path">video_of_a_long_name_' in html


def test_one_is_singular() -> None:
    given = scores_of(["a"], np.array([[0.9, 0.1]], np.float32), np.array([1]), clips=4)
    found = evaluation(given, healthy=True, settings={"clip_per_video": 1, "crop_per_clip": 1, "clip_length_rgb": 1})
    html = page(replace(found, skipped=[BadVideo("0", "x", "why")], clips_per_video=1))
    text = re.sub(r"<(script|style).*?</\1>|<[^>]*>", "", html, flags=re.S)
    assert "1 video could not be read and counts nowhere; it is listed below" in text and "1 video of 2 classes" in text
    assert not re.search(r"(?<![\d.,\u202f])1 (videos|clips|classes|frames|blobs|rows|parameters|reasons)\b", text)


def test_a_large_evaluation_stays_a_small_page() -> None:
    given = scored(400, 12)
    html = page(evaluation(given, class_names(400)), pictures)
    assert len(html.encode()) < 3_000_000


def test_a_perfect_evaluation_has_nothing_to_show_or_warn_of() -> None:
    given = scores_of(["a", "b"], np.eye(2, dtype=np.float32), np.array([0, 1]))
    html = page(evaluation(given, healthy=True))
    assert (
        "every video was given its own class" in html
        and 'value="every" checked' in html
        and "Read this first" not in html
    )


@pytest.mark.parametrize("text", ["<img src=x onerror=alert(1)>", '"><script>alert(1)</script>'])
def test_names_and_paths_are_text(text: str) -> None:
    given = scored(5, 20)
    found = evaluation(given, [text] * 5, settings={"test_data": text})
    assert found.data is not None
    html = page(replace(found, skipped=[BadVideo("0", text, text)], data=replace(found.data, warnings=[text])))
    assert text not in html


def test_an_untrained_network_and_a_partial_checkpoint_are_said() -> None:
    given = scored(5, 20)
    found = evaluation(given)
    assert "The network is untrained" in page(replace(found, checkpoint=None))
    partial = Report(("a",), {}, ("conv1_w",), (), {"fc_w": ((1,), (2,))})
    assert "2 blobs of the network keep their initial values" in page(replace(found, checkpoint=partial))


def test_an_evaluation_of_little_has_a_page_too() -> None:
    """Of data that was not looked at and a model that nobody published, on an engine that times no parts."""
    found = replace(evaluation(scored(5, 20)), data=None, published=None, seconds={"load": 1.0, "run": 2.0})
    html = page(found)
    assert "r2plus1d 18 on" in html and 'id="data"' not in html


def test_where_settings_come_from() -> None:
    found = evaluation(scored(5, 20))
    assert "Where the settings come from" not in page(found)
    sources = {"crop_size": Sourced(112, "checkpoint"), "top_k": Sourced(5, "default"), "zoo": Sourced("x", "--zoo")}
    resolution = Resolution(sources, "fast", differences=("crop_size=112, not 128",), reference="its training")
    html = page(replace(found, published=None, config=replace(found.config, resolution=resolution)))
    assert "Training of the checkpoint</dt><dd>crop_size=112</dd>" in html and "<dd>top_k=5</dd>" in html
    assert "--zoo=None, fast protocol</dt><dd>zoo=x</dd>" in html
    assert "Not its training: crop_size=112, not 128." in html


def test_control_characters_are_shown_by_their_code_points() -> None:
    """A name that reads backwards, or ends what is before it, would say another thing than it is."""
    given = scores_of(["a\u202e4pm.exe", "b\u2066"], np.array([[0.9, 0.1], [0.8, 0.2]], np.float32), np.array([1, 1]))
    html = page(evaluation(given, ["left\u202d", "right\u200e\x1b[1m"]))
    assert "a[U+202E]4pm.exe" in html and "b[U+2066]" in html
    assert "left[U+202D]" in html and "right[U+200E]\\x1b[1m" in html
    assert not set(html) & set("\u202e\u202d\u2066\u200e\x1b")
