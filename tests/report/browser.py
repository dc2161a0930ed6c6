"""A real headless Chromium, driven by selenium: Debian's chromium and chromium-driver, nothing is downloaded."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import pytest

from tests.engines.real_caffe2 import HAS_CAFFE2

CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None
)
DRIVER = shutil.which("chromedriver")
_HAS_BROWSER = bool(CHROMIUM and DRIVER and importlib.util.find_spec("selenium"))

# In CI they run in the first environment, and fail where there is no browser; the second has no selenium.
needs_browser = pytest.mark.skipif(
    not _HAS_BROWSER and (HAS_CAFFE2 or not os.environ.get("CI")),
    reason="no browser: apt-get install chromium chromium-driver, and pip install selenium",
)

# Every visible piece of text: its box, the box it must stay in, and whether that one scrolls.
_TEXTS = """
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let node = walker.nextNode(); node; node = walker.nextNode()) {
  if (!node.textContent.trim()) continue;
  const parent = node.parentElement;
  if (!parent.checkVisibility({ visibilityProperty: true }) || parent.closest("script, style")) continue;
  let frame = parent;
  while (getComputedStyle(frame).display.startsWith("inline")) frame = frame.parentElement;
  const box = frame.getBoundingClientRect();
  const scrolls = Boolean(parent.closest(".scroll"));
  const range = document.createRange();
  range.selectNodeContents(node);
  for (const rect of range.getClientRects()) {
    if (rect.width < 1) continue;
    found.push({
      text: node.textContent.trim().slice(0, 40), scrolls, rotated: Boolean(parent.closest(".heat thead")),
      axis: Boolean(parent.closest(".plot")),
      left: rect.left, right: rect.right, top: rect.top + scrollY, bottom: rect.bottom + scrollY,
      frame: [box.left, box.right, box.top + scrollY, box.bottom + scrollY],
      clipped: frame.scrollWidth > frame.clientWidth + 1 && getComputedStyle(frame).overflowX !== "visible" && !scrolls,
    });
  }
}
return found;
"""


class Page:
    """One page in the browser. Widths are CSS pixels."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, page: Union[Path, str], width: int, dark: bool = False) -> None:
        """page: a file, or the address of one that is served."""
        metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        self.driver.get_log("browser")
        self.driver.get_log("performance")
        self.driver.get(page if isinstance(page, str) else page.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def console(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """What the page asked for since it was opened, itself included; data: is in the page."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in asked if not url.startswith("data:")]

    def faults_of_layout(self) -> list[str]:
        """Text that leaves the page, or its frame, or lies on other text; a page that scrolls sideways."""
        width = self.run("return document.documentElement.clientWidth")
        found = []
        if self.run("return document.documentElement.scrollWidth") > width:
            found.append("the page scrolls sideways")
        texts = self.run(_TEXTS)
        for text in texts:
            left, right, _, bottom = text["frame"]
            if not text["scrolls"] and (text["left"] < -0.5 or text["right"] > width + 0.5):
                found.append(f"off the page: {text['text']}")
            if not text["axis"] and (
                text["left"] < left - 1 or text["right"] > right + 1 or text["bottom"] > bottom + 3
            ):
                found.append(f"out of its frame: {text['text']}")
            if text["clipped"]:
                found.append(f"cut: {text['text']}")
        return found + _overlaps(texts)


def _overlaps(texts: list[dict[str, Any]]) -> list[str]:
    texts = sorted(texts, key=lambda text: text["top"])
    found = []
    for number, one in enumerate(texts):
        for other in texts[number + 1 :]:
            if other["top"] > one["bottom"] - 4:  # fonts' boxes are a little higher than their lines
                break
            if min(one["right"], other["right"]) - max(one["left"], other["left"]) > 1:
                found.append(f"{one['text']} and {other['text']} overlap")
    return found


@contextmanager
def browser(*flags: str) -> Iterator[Page]:
    """flags: of Chromium, besides those that make it headless."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    assert CHROMIUM and DRIVER, "CI installs chromium and chromium-driver: .ci/run"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    headless = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
    for flag in (*headless, *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Page(driver)
    finally:
        driver.quit()
