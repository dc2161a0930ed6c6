"""The pages as a person meets them: in a browser, on a phone and on a desk, with few classes and with many."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest

from tests.report.browser import Page, browser, needs_browser
from tests.report.examples import class_names, evaluation, pictures, scored
from tests.report.test_training import epochs, points, result
from vmz import invocation
from vmz.report import comparison, training
from vmz.report.evaluation import page as evaluation_page
from vmz.report.page import write
from vmz.results.comparison import BlobDifference, Comparison

pytestmark = needs_browser

WIDTHS = (360, 768, 1280)
PAGES = ("few", "many", "several_labels", "healthy", "training", "comparison")

SHOWN = "return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length"
COLUMN = """
const [section, column] = arguments;
return [...document.querySelectorAll(`#${section} tbody tr`)].map((row) => row.cells[column].innerText.trim());
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser() as page:
        yield page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    few, many, several = scored(5, 20), scored(400, 12), scored(157, 20, several_labels=True)
    blobs = [
        BlobDifference(f"comp_{n}_conv_{n % 3}_middle_relu", "Conv", (2, 64, 8, 56, 56), 1e-6, 1e-6 * 10.0 ** (n % 9))
        for n in range(60)
    ]
    html = {
        "few": evaluation_page(evaluation(few, class_names(5)), pictures),
        "many": evaluation_page(evaluation(many, class_names(400)), pictures),
        "several_labels": evaluation_page(evaluation(several, class_names(157)), pictures),
        "healthy": evaluation_page(evaluation(few, healthy=True)),
        "training": training.page(result(points(2000), epochs(2000), train_data="/data/" + 20 * "long_")),
        "comparison": comparison.page(Comparison("r2plus1d depth 18", blobs, 1e-4, {})),
    }
    for name, text in html.items():
        write(folder / f"{name}.html", text)
    return {name: folder / f"{name}.html" for name in html}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_it_renders_and_nothing_overlaps_or_is_cut(
    name: str, width: int, chromium: Page, pages: dict[str, Path]
) -> None:
    chromium.open(pages[name], width, dark=width == 768)
    assert chromium.run(SHOWN, "main section") >= 1
    assert chromium.faults_of_layout() == []
    chromium.run("for (const button of document.querySelectorAll('button.more:not([hidden])')) button.click()")
    chromium.run("for (const part of document.querySelectorAll('details')) part.open = true")
    assert chromium.faults_of_layout() == []
    assert chromium.console() == []
    assert chromium.requests() == [pages[name].as_uri()]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p>one</p><p style='margin-top:-1.7em'>two</p>", "one and two overlap"),
        ("<p style='white-space:nowrap'>" + "word " * 100 + "</p>", "off the page"),
        ("<p style='width:50px'>unbreakable_text_of_some_length</p>", "out of its frame"),
        ("<div style='height:10px;overflow:hidden'>one<br>two<br>three</div>", "out of its frame: two"),
        ("<div style='width:900px;height:1px'></div>one", "the page scrolls sideways"),
        ("<p>one</p><p>two</p>", None),
    ],
)
def test_the_check_of_the_layout_finds_faults(body: str, fault: Optional[str], chromium: Page, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><meta name=viewport content='width=device-width'><body>{body}", encoding="utf-8")
    chromium.open(path, 360)
    found = chromium.faults_of_layout()
    assert any(line.startswith(fault) for line in found) if fault else not found


def test_a_request_and_an_error_would_be_seen(chromium: Page, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><img src='other.png'><script>missing()</script>", encoding="utf-8")
    chromium.open(path, 360)
    assert len(chromium.requests()) == 2
    assert any("missing is not defined" in message for message in chromium.console())


def test_classes_sort_by_every_column_both_ways(chromium: Page, pages: dict[str, Path]) -> None:
    chromium.open(pages["many"], 1280)
    accuracy = shares(chromium)
    assert accuracy == sorted(accuracy) and len(accuracy) == 400
    click = "document.querySelectorAll('#classes thead button')[arguments[0]].click()"
    chromium.run(click, 1)
    assert shares(chromium) == sorted(accuracy, reverse=True)
    assert chromium.run(SHOWN, "#classes tbody tr") == 15
    chromium.run(click, 0)
    names = [name.split("\n")[0] for name in visible(chromium)]
    assert names == sorted(class_names(400))[:15]
    states = chromium.run("return [...document.querySelectorAll('#classes th[aria-sort]')].map((one) => one.ariaSort)")
    assert states == ["ascending", "none", "none"]


def shares(page: Page) -> list[float]:
    script = (
        "return [...document.querySelectorAll('#classes tbody tr')].map((row) => Number(row.cells[1].dataset.sort))"
    )
    return [float(value) for value in page.run(script)]


def visible(page: Page) -> list[str]:
    script = """return [...document.querySelectorAll('#classes tbody tr')].filter((row) => !row.hidden)
        .map((row) => row.cells[0].innerText)"""
    return list(page.run(script))


def test_the_filter_finds_classes_beyond_those_shown(chromium: Page, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.by import By

    chromium.open(pages["many"], 360)
    field = chromium.driver.find_element(By.CSS_SELECTOR, "#classes input")
    field.send_keys("VIOLIN juggling")
    assert [name.split("\n")[0] for name in visible(chromium) if name.startswith("juggling violin")]
    assert all("violin" in name.lower() and "juggling" in name.lower() for name in visible(chromium))
    state = chromium.run("return document.querySelector('#classes [role=status]').textContent")
    assert state == f"{len(visible(chromium))} of {len(visible(chromium))} classes"
    field.send_keys(" nowhere")
    assert visible(chromium) == []
    field.clear()
    field.send_keys(" ")
    assert len(visible(chromium)) == 15
    chromium.run("document.querySelector('#classes button.more').click()")
    assert len(visible(chromium)) == 400
    assert chromium.run("return document.activeElement === document.querySelectorAll('#classes tbody tr')[15]")


def test_confusions_and_cards_are_limited(chromium: Page, pages: dict[str, Path]) -> None:
    chromium.open(pages["many"], 1280)
    assert chromium.run(SHOWN, "#confusions table:not(.heat) tbody tr") == 10
    assert chromium.run("return document.querySelectorAll('.heat tbody tr').length") == 18
    assert chromium.run(SHOWN, ".card") == 12
    assert chromium.run("return [...document.images].every((image) => image.naturalWidth > 100)")
    assert pages["many"].stat().st_size < 3_000_000
    chromium.open(pages["few"], 1280)
    assert chromium.run("return document.querySelectorAll('.heat tbody tr').length") == 5


STATE = "return document.querySelector('#videos [role=status]').textContent"
CARDS = """return [...document.querySelectorAll('#videos .card')].filter((card) => card.checkVisibility())
    .map((card) => [card.classList.contains('right'), Number(card.dataset.score), card.dataset.class])"""


def test_videos_are_browsed_sorted_and_searched(chromium: Page, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.by import By

    chromium.open(pages["many"], 1280)
    assert not any(right for right, _, _ in chromium.run(CARDS)) and chromium.run(STATE) == "12 of 200 videos"
    click = "document.getElementById(arguments[0]).click()"
    chromium.run(click, "kind-right")
    assert all(right for right, _, _ in chromium.run(CARDS)) and len(chromium.run(CARDS)) == 12
    sort = """const order = document.querySelector('#videos select');
        order.value = arguments[0]; order.dispatchEvent(new Event('change'))"""
    chromium.run(sort, "Highest score first")
    highest = [score for _, score, _ in chromium.run(CARDS)]
    assert highest == sorted(highest, reverse=True)
    chromium.run(sort, "Class")
    named = [name for _, _, name in chromium.run(CARDS)]
    assert named == sorted(named)
    chromium.run(click, "kind-every")
    field = chromium.driver.find_element(By.CSS_SELECTOR, "#videos input[type=search]")
    field.send_keys("playing VIOLIN")
    texts = chromium.run("return [...document.querySelectorAll('#videos .card:not([hidden])')].map((c) => c.innerText)")
    assert texts and all("playing" in text and "violin" in text for text in texts)
    assert chromium.run(STATE) == f"{len(texts)} of {len(texts)} video{'s' * (len(texts) > 1)}"
    field.clear()
    field.send_keys("video_of_a_long_name_17_")
    assert chromium.run("return document.querySelector('#videos [role=status]').textContent") in (
        "1 of 1 video", "0 of 0 videos",
    )  # fmt: skip
    assert chromium.faults_of_layout() == []


PLAYS = "return getComputedStyle(document.querySelector('#videos .clip img')).animationName"


@pytest.mark.parametrize("reduced", [False, True])
def test_a_clip_plays_and_rests_by_click_and_key(reduced: bool, chromium: Page, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    chromium.open(pages["few"], 1280)
    motion = {"name": "prefers-reduced-motion", "value": "reduce" if reduced else "no-preference"}
    chromium.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [motion]})
    assert chromium.run(PLAYS) == "none"
    box = chromium.driver.find_element(By.CSS_SELECTOR, "#videos .clip input")
    for key in (Keys.SPACE, Keys.ENTER):
        box.send_keys(key)
        assert chromium.run(PLAYS) == "clip"
        box.send_keys(key)
        assert chromium.run(PLAYS) == "none"
    assert box.get_attribute("aria-label").startswith("Play video_of_a_long_name_")
    chromium.run("document.querySelector('#videos .controls button').click()")
    assert chromium.run("return document.querySelectorAll('#videos .clip input:checked').length") > 3
    assert chromium.run("return document.querySelector('#videos .controls button').textContent") == "Pause all"


def test_a_command_is_one_line_that_is_copied(chromium: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_now", None)
    invocation.begin([f"--test_data=/data/{40 * 'long_'}", "--top_k=5"], "vmz.cli.test_net", given=True)
    write(tmp_path / "page.html", evaluation_page(evaluation(scored(5, 20))))
    chromium.open(tmp_path / "page.html", 360)
    assert chromium.faults_of_layout() == []
    height, line = chromium.run(
        "const e = document.querySelector('.command pre'); const s = getComputedStyle(e);"
        "return [e.clientHeight, parseFloat(s.lineHeight) + parseFloat(s.paddingTop) * 2]"
    )
    assert height <= line + 1
    chromium.run("document.querySelector('.command button').click()")
    assert "vmz test-net --test_data=/data/long_" in chromium.run("return getSelection().toString()")


def test_everything_is_reached_by_the_keyboard(chromium: Page, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chromium.open(pages["few"], 1280)
    focused = []
    script = """const e = document.activeElement;
        return e.tagName + ' ' + (e.closest('section')?.id || e.parentElement.tagName)"""
    for _ in range(60):
        ActionChains(chromium.driver).send_keys(Keys.TAB).perform()
        focused.append(chromium.run(script))
    for wanted in (
        "A LI",
        "INPUT classes",
        "BUTTON classes",
        "BUTTON confusions",
        "DIV confusions",
        "SUMMARY protocol",
    ):
        assert wanted in focused, wanted
    first, at_first = chromium.run(COLUMN, "classes", 0), chromium.run(SHOWN, "#classes tbody tr")
    chromium.run("document.querySelector('#classes thead button').focus()")
    ActionChains(chromium.driver).send_keys(Keys.ENTER).perform()
    assert chromium.run(COLUMN, "classes", 0) == sorted(first) and at_first == 5


def test_a_curve_tells_its_values(chromium: Page, pages: dict[str, Path]) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    chromium.open(pages["training"], 768)
    outputs = (
        "return [...document.querySelectorAll('figure')[1].querySelectorAll('output')].map((one) => one.textContent)"
    )
    chromium.run("document.querySelectorAll('.area')[1].focus()")
    ActionChains(chromium.driver).send_keys(Keys.END).perform()
    accuracy, clips, videos = chromium.run(outputs)
    assert accuracy.startswith("0.9985 at") and (clips, videos) == ("0.25 at 2\u202f000", "0.5 at 2\u202f000")
    ActionChains(chromium.driver).send_keys(Keys.HOME).perform()
    assert chromium.run(outputs)[0] != accuracy
    chromium.run("document.activeElement.blur()")
    assert chromium.run(outputs) == ["", "", ""]
    assert chromium.faults_of_layout() == []


@pytest.mark.parametrize("name", ["many", "training"])
def test_it_prints(name: str, chromium: Page, pages: dict[str, Path]) -> None:
    chromium.open(pages[name], 1280)
    pdf = base64.b64decode(chromium.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert pdf.startswith(b"%PDF") and 1 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 14


def test_it_reads_without_script(chromium: Page, pages: dict[str, Path]) -> None:
    chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.open(pages["few"], 360)
        shown = chromium.run("return document.querySelectorAll('#classes tbody tr').length")
        wrong, right = (chromium.run(SHOWN, f"#videos .card.{kind}") for kind in ("wrong", "right"))
        chromium.run("document.querySelector('#kind-every').checked = true")
        every = chromium.run(SHOWN, "#videos .card")
        chromium.run("document.querySelector('#videos .clip input').checked = true")
        played = chromium.run(PLAYS)
    finally:
        chromium.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown == 5 and wrong and not right and every == 100 and played == "clip"
