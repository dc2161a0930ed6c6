"""The page of `vmz serve` as a person meets it: in a browser, on a phone and on a desk, with real and hostile files."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.goldens.recordings import SHARED, VIDEOS
from tests.report.browser import Page, browser, needs_browser
from tests.serve.running import Gate, Running, ask, server, weights
from tests.support.small_videos import BAD, video

pytestmark = needs_browser

PATIENCE = 120  # seconds, on a busy machine
HIDDEN = "return document.getElementById(arguments[0]).hidden"
TEXT = "return document.getElementById(arguments[0]).innerText"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Page]:
    with browser("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as page:
        yield page


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(weights(tmp_path_factory.mktemp("weights")), views="published", queue=1) as found:
        yield found


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video, a text, nothing, and 2 GB that take no room."""
    folder = tmp_path_factory.mktemp("films")
    video(folder / "film.mp4", 1, rate=10, frames=40)
    (folder / "broken.mp4").write_bytes(BAD)
    (folder / "empty.mp4").touch()
    with open(folder / "large.mp4", "wb") as stream:
        stream.truncate(1 << 31)
    return folder


def choose(page: Page, path: Path) -> None:
    page.driver.find_element("id", "file").send_keys(str(path))


def until(page: Page, part: str) -> str:
    """The text of a part of the page, once it is shown."""
    end = time.monotonic() + PATIENCE
    while page.run(HIDDEN, part):
        assert time.monotonic() < end, f"#{part} is not shown: {page.run('return document.body.innerText')}"
        time.sleep(0.05)
    return str(page.run(TEXT, part))


def click(page: Page, part: str) -> None:
    page.run("document.getElementById(arguments[0]).scrollIntoView({ behavior: 'instant', block: 'center' })", part)
    page.driver.find_element("id", part).click()


def ours(page: Page, running: Running) -> bool:
    """Whether the page has asked nobody but the server, and itself."""
    return all(url.startswith((running.address, f"blob:{running.address}")) for url in page.requests())


@pytest.mark.parametrize(("width", "dark"), [(360, True), (768, False), (1280, True)])
def test_a_video_is_chosen_and_its_prediction_shown(
    width: int, dark: bool, chromium: Page, running: Running, films: Path
) -> None:
    chromium.open(running.address, width, dark)
    assert chromium.faults_of_layout() == [] and chromium.run(HIDDEN, "result") and chromium.run(HIDDEN, "doing")
    choose(chromium, films / "film.mp4")
    text = until(chromium, "result")
    assert text.startswith("film.mp4\n") and "Scores over time" in text and "4 clips, " in text
    _, expected = ask(f"{running.address}api/predict", (films / "film.mp4").read_bytes())
    rows = chromium.run("return [...document.querySelectorAll('#result tbody tr')].map((one) => one.innerText)")
    for row, one in zip(rows, expected["top"]):
        assert row.split("\t") == [one["name"], f"{100 * one['score']:.2f}\u00a0%"]
    assert len(rows) == 5 and chromium.run("return document.querySelectorAll('#result .strip img').length") == 4
    assert chromium.run(HIDDEN, "doing") and chromium.run(HIDDEN, "error")
    chromium.run("for (const part of document.querySelectorAll('#model details')) part.open = true")
    assert chromium.faults_of_layout() == []
    chromium.run("document.querySelector('#result details').open = true")  # in a frame of its own that scrolls
    assert chromium.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert '"label": ' in chromium.run("return document.querySelector('#result pre').innerText")
    assert chromium.console() == [] and ours(chromium, running)


def test_a_real_video(chromium: Page, running: Running) -> None:
    if not VIDEOS.is_dir():
        pytest.skip(f"nothing at {SHARED}; set VMZ_SHARED to run this")
    chromium.open(running.address, 1280)
    choose(chromium, VIDEOS / "arm_wrestling.mp4")
    assert until(chromium, "result").startswith("arm_wrestling.mp4\n")
    box = "document.querySelector('#result .choice input')"
    assert "Red: where the network looked for" in chromium.run(f"return {box}.parentElement.innerText")
    images = "return [...document.querySelectorAll('#result .strip img')].map((one) => one.src)"
    heated = chromium.run(images)
    chromium.run(f"{box}.click()")
    plain = chromium.run(images)
    chromium.run(f"{box}.click()")
    assert len(heated) == 4 and not set(heated) & set(plain) and chromium.run(images) == heated
    played = "const one = document.querySelector('#result video'); return one && one.readyState > 0 && one.duration"
    end = time.monotonic() + PATIENCE
    while not chromium.run(played):
        assert time.monotonic() < end
    assert 9 < chromium.run(played) < 11


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("broken.mp4", "broken.mp4: not a video that can be opened (it is text, not a video)."),
        ("empty.mp4", "empty.mp4 is empty; choose another file."),
        ("large.mp4", "large.mp4 has 2147 MB, but this server takes at most 200 MB (--max_upload_mb); choose a shorter "
                      "or smaller one."),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted_is_a_sentence(
    name: str, sentence: str, chromium: Page, running: Running, films: Path
) -> None:
    chromium.open(running.address, 360)
    choose(chromium, films / name)
    assert [line for line in until(chromium, "error").split("\n") if line] == ["No prediction", sentence]
    assert chromium.run(HIDDEN, "doing") and chromium.run(HIDDEN, "result") and chromium.faults_of_layout() == []
    choose(chromium, films / "film.mp4")  # and the next one is predicted
    assert until(chromium, "result").startswith("film.mp4\n") and chromium.run(HIDDEN, "error")


def test_the_server_itself_refuses_2_gb(chromium: Page, running: Running, films: Path) -> None:
    """Of a page that does not look at the size: the server answers while it is still being sent to."""
    chromium.open(running.address, 1280)
    chromium.run("document.getElementById('video').dataset.maxBytes = 1e12")
    choose(chromium, films / "large.mp4")
    assert "The video is larger than 200 MB, the most that this server takes" in until(chromium, "error")
    assert ask(f"{running.address}health")[1]["uploading"] == 0


def test_two_at_once(chromium: Page, running: Running, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In two windows: the second one is told that it waits, and for how many; a third is refused."""
    gate = Gate(monkeypatch)
    first = chromium.driver.current_window_handle
    chromium.open(running.address, 1280)
    choose(chromium, films / "film.mp4")
    assert gate.begun.acquire(timeout=PATIENCE)
    waits(chromium, r"Predicting")
    chromium.driver.switch_to.new_window("tab")
    second = chromium.driver.current_window_handle
    try:
        chromium.open(running.address, 360, dark=True)
        choose(chromium, films / "film.mp4")
        waits(chromium, r"Waiting: 1 video before this one")
        assert chromium.faults_of_layout() == []
        status, found = ask(f"{running.address}api/predict", b"x")
        assert status == 503 and found["error"].startswith("all places are taken")
        gate.open.release()
        assert gate.begun.acquire(timeout=PATIENCE)
        waits(chromium, r"Predicting")
        gate.open.release()
        assert until(chromium, "result").startswith("film.mp4\n")
    finally:
        gate.open.release(9)
        chromium.driver.switch_to.window(second)
        chromium.driver.close()
        chromium.driver.switch_to.window(first)
    assert until(chromium, "result").startswith("film.mp4\n")


def waits(page: Page, pattern: str) -> None:
    """Until the page says that of its request."""
    end = time.monotonic() + PATIENCE
    while not re.fullmatch(pattern, page.run(TEXT, "state")):
        assert time.monotonic() < end, page.run(TEXT, "state")
        time.sleep(0.05)


def test_a_request_is_cancelled(chromium: Page, running: Running, films: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        gate = Gate(patched)
        chromium.open(running.address, 360)
        choose(chromium, films / "film.mp4")
        assert gate.begun.acquire(timeout=PATIENCE)
        waits(chromium, r"Predicting")
        click(chromium, "cancel")
        end = time.monotonic() + PATIENCE
        while ask(f"{running.address}health")[1]["running"]:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert [chromium.run(HIDDEN, part) for part in ("doing", "error", "result")] == [True] * 3
    choose(chromium, films / "film.mp4")
    assert until(chromium, "result").startswith("film.mp4\n")


@pytest.mark.long
def test_a_video_is_recorded(chromium: Page, running: Running) -> None:
    """With Chromium's own picture of a camera; no sound is asked for."""
    chromium.open(running.address, 360, dark=True)
    click(chromium, "record")
    until(chromium, "camera")
    click(chromium, "start")
    end = time.monotonic() + PATIENCE
    while not re.match(r"[6-9]\.|\d\d", chromium.run(TEXT, "recorded")):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert chromium.faults_of_layout() == []
    click(chromium, "start")
    assert until(chromium, "result").startswith("recording.webm\n")
    assert chromium.run(HIDDEN, "camera") and not chromium.run(HIDDEN, "drop") and chromium.console() == []
    click(chromium, "record")
    until(chromium, "camera")
    click(chromium, "cancel-recording")
    assert chromium.run(HIDDEN, "camera") and chromium.run(HIDDEN, "doing")


DROP = """
const [names, done] = [arguments[0], arguments[1]];
(async () => {
  const transfer = new DataTransfer();
  for (const name of names) transfer.items.add(new File([window.film], name));
  const fire = (kind) => document.body.dispatchEvent(
    new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
  const shown = !fire("dragover") && document.getElementById("drop").classList.contains("over");
  const taken = !fire("drop");
  done([shown, taken]);
})();
"""


def test_a_video_is_dropped(chromium: Page, running: Running, films: Path) -> None:
    chromium.open(running.address, 1280)
    content = (films / "film.mp4").read_bytes().hex()
    chromium.run("window.film = new Uint8Array(arguments[0].match(/../g).map((one) => parseInt(one, 16)))", content)
    assert chromium.driver.execute_async_script(DROP, ["a.mp4", "b.mp4"]) == [True, True]
    assert "One video at a time; drop a single file." in until(chromium, "error")
    name = "<img src=x onerror=alert(1)>.mp4"
    assert chromium.driver.execute_async_script(DROP, [name]) == [True, True]
    assert until(chromium, "result").startswith(f"{name}\n") and chromium.run(HIDDEN, "error")
    assert chromium.console() == [] and ours(chromium, running)


def test_a_server_that_has_gone(chromium: Page, films: Path, tmp_path: Path) -> None:
    with server(weights(tmp_path), attention=0) as running:
        chromium.open(running.address, 360)
    choose(chromium, films / "film.mp4")
    assert "The server does not answer, or has ended the connection" in until(chromium, "error")


def test_everything_is_reached_by_the_keyboard(chromium: Page, running: Running, films: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    def press(key: str) -> Any:
        ActionChains(chromium.driver).send_keys(key).perform()
        return chromium.run("return document.activeElement.id || document.activeElement.textContent.trim()")

    chromium.open(running.address, 1280)
    reached = [press(Keys.TAB) for _ in range(6)]
    assert reached == ["file", "record", "As JSON", "Classes", "Settings", "Run"]
    ring = "return getComputedStyle(document.getElementById('file').parentElement).outlineStyle"
    chromium.run("document.getElementById('file').focus()")
    assert chromium.run(ring) == "solid"
    choose(chromium, films / "film.mp4")
    until(chromium, "result")
    assert chromium.run("return document.activeElement.id") == "result"
    assert "JSON" in [press(Keys.TAB) for _ in range(12)]
    chromium.run("document.querySelector('#result summary').focus()")
    press(Keys.ENTER)
    assert chromium.run("return document.querySelector('#result details').open") and press(Keys.TAB) == "Download"
    chromium.run("document.querySelector('#result .area').focus()")
    press(Keys.END)
    assert all(" at " in one for one in chromium.run(
        "return [...document.querySelectorAll('#result output')].map((one) => one.textContent)"))  # fmt: skip


def test_a_page_of_another_site_cannot_use_it(chromium: Page, running: Running, tmp_path: Path) -> None:
    """A page that is no one of ours, in the same browser: it can neither send nor read."""
    page = tmp_path / "other.html"
    page.write_text("<!doctype html><body>another site")
    chromium.open(page, 360)
    script = """
    const [address, done] = arguments;
    const attempts = [
      fetch(address + "api/predict", { method: "POST", body: "x", mode: "no-cors" }).then((one) => one.type),
      fetch(address + "api/predict", { method: "POST", body: "x" }),
      fetch(address + "api/model"),
    ];
    Promise.allSettled(attempts).then((all) => done(all.map((one) => one.value || String(one.reason))));
    """
    sent, *others = chromium.driver.execute_async_script(script, running.address)
    assert sent in ("opaque", "TypeError: Failed to fetch") and others == ["TypeError: Failed to fetch"] * 2
    assert ask(f"{running.address}health")[1] == {"status": "ok", "uploading": 0, "waiting": 0, "running": 0}
