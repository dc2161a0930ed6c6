from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

from tests.report.examples import class_names, evaluation, pictures, scored, scores_of
from vmz.checkpoints.matching import Report
from vmz.report.evaluation import PICTURE_BYTES, page, wrong_videos
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
    wrong = wrong_videos(given)
    assert [(video.key, video.given, video.labels, video.rank) for video in wrong] == [
        ("d", 1, [2], 2),
        ("a", 0, [1], 2),
        ("b", 0, [1], 2),
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
    wrong = wrong_videos(given)
    assert [(video.key, video.given, video.labels) for video in wrong] == [("c", 0, [2]), ("b", 1, [])]
    html = page(evaluation(given))
    assert "mAUC" in html and "has none of the classes" in html and 'id="confusions"' not in html


def test_pictures_are_limited_in_all() -> None:
    given = scored(400, 2)

    def large(keys: object) -> object:
        return [(str(key), b"\xff\xd8" + bytes(PICTURE_BYTES // 4), "") for key in keys]  # type: ignore[attr-defined]

    html = page(evaluation(given), large)  # type: ignore[arg-type]
    assert html.count("data:image/jpeg") == 3 and html.count("no picture") == 21


def test_a_large_evaluation_stays_a_small_page() -> None:
    given = scored(400, 12)
    html = page(evaluation(given, class_names(400)), pictures)
    assert len(html.encode()) < 600_000


def test_a_perfect_evaluation_has_nothing_to_show_or_warn_of() -> None:
    given = scores_of(["a", "b"], np.eye(2, dtype=np.float32), np.array([0, 1]))
    html = page(evaluation(given, healthy=True))
    assert "every video was given its own class" in html and "Read this first" not in html


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
