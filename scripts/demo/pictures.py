#!/usr/bin/env python3
"""Make the pictures of the demo's page that the README shows, from the page that `make demo` wrote.

Needs what the tests of the pages need: Chromium with its driver (apt-get install chromium chromium-driver), and the
packages selenium and pillow, which `make test` has.
"""

from __future__ import annotations

import argparse
import base64
import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import UsageError, VmzError
from vmz.files import atomic_write

# Each picture: parts of the page, one below the other; a part goes from the first to the last of what these select.
PICTURES = {
    "demo_figures.png": (("header", "#figures"), ("#confusions h3", "#confusions .heat")),
    "demo_wrong.png": (("#videos h2", "#videos .card:nth-child(-n+4)"),),
}
WIDTH, HEIGHT = 900, 1000  # of the window, in CSS pixels
MARGIN = 16  # around a part
MOST_BYTES = 150 * 1024
COLOURS = (256, 128, 64, 32)

# The top and the bottom of all that the selectors find, in the page; null where one finds nothing.
_REACH = """
const found = arguments[0].map((selector) => [...document.querySelectorAll(selector)]);
if (found.some((elements) => !elements.length)) return null;
const boxes = found.flat().map((element) => element.getBoundingClientRect());
return [Math.min(...boxes.map((box) => box.top)) + scrollY, Math.max(...boxes.map((box) => box.bottom)) + scrollY];
"""


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser of WIDTH x HEIGHT. Raises UsageError where one is not installed."""
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        raise UsageError("Chromium or its driver is not installed; run: apt-get install chromium chromium-driver")
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError as error:
        raise UsageError("the pictures need selenium; install it with: pip install selenium") from error
    options = webdriver.ChromeOptions()
    options.binary_location = str(found[0])
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(found[1])))
    try:
        metrics = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        yield driver
    finally:
        driver.quit()


def capture(driver: Any, parts: Sequence[Sequence[str]]) -> Any:
    """A picture (PIL's) of these parts of the page that is open. Raises VmzError for a part that it does not have."""
    from PIL import Image

    images = []
    for part in parts:
        reach = driver.execute_script(_REACH, part)
        if reach is None:
            raise VmzError(f"the page has no part {' to '.join(part)}; PICTURES in {__file__} must follow the page")
        top = max(0, reach[0] - MARGIN)
        clip = {"x": 0, "y": top, "width": WIDTH, "height": reach[1] + MARGIN - top, "scale": 1}
        wanted = {"format": "png", "clip": clip, "captureBeyondViewport": True}
        found = driver.execute_cdp_cmd("Page.captureScreenshot", wanted)
        images.append(Image.open(io.BytesIO(base64.b64decode(found["data"]))).convert("RGB"))
    whole = Image.new("RGB", (WIDTH, sum(image.height for image in images)))
    place = 0
    for image in images:
        whole.paste(image, (0, place))
        place += image.height
    return whole


def png(image: Any) -> bytes:
    """A PNG of at most MOST_BYTES, in as many colours as that allows. VmzError where none of COLOURS is few enough."""
    for colours in COLOURS:
        buffer = io.BytesIO()
        image.quantize(colours, dither=0).save(buffer, "PNG", optimize=True)
        if buffer.tell() <= MOST_BYTES:
            return buffer.getvalue()
    raise VmzError(
        f"a picture of {image.width} x {image.height} takes more than {MOST_BYTES} bytes; show less of the page"
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser("Make the README's pictures of the demo's page.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="what `make demo` wrote: demo_output")
    parser.add_argument(
        "--output", type=Path, default=Path("docs/images"), metavar="DIR", help="folder of the pictures"
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    options = parse(argv)
    page = options.folder / "report.html"
    if not page.is_file():
        raise UsageError(f"{page} is not there; run `make demo` first")
    options.output.mkdir(parents=True, exist_ok=True)
    with chromium() as driver:
        driver.get(page.resolve().as_uri())
        for name, parts in PICTURES.items():
            content = png(capture(driver, parts))
            with atomic_write(options.output / name) as stream:
                stream.write(content)
            print(f"{options.output / name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
