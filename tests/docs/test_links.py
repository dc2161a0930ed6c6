"""Links in README.md, docs/ and the other documents lead to files, and to headings, that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, documents

OTHERS = (
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docker/README.md",
    "ops/README.md",
    "models_zoo/demo/README.md",
)
DOCUMENTS = [*documents(), *(ROOT / name for name in OTHERS)]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """The text without its fenced blocks, in which brackets are code."""
    return re.sub(r"(?ms)^\s*```.*?^\s*```$", "", path.read_text())


def anchors(path: Path) -> set[str]:
    """The headings' names, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(path))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(path: Path) -> list[str]:
    found = []
    for link in LINK.findall(prose(path)):
        name, _, heading = link.partition("#")
        if "://" in name:
            continue
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (heading and heading not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS])
def test_links_lead_somewhere(path: Path) -> None:
    assert broken(path) == []


def test_what_a_broken_link_is(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One, two: `three`\n")
    (tmp_path / "a.md").write_text(
        "[a](b.md) [b](b.md#one-two-three) [c](https://example.org) [d](c.md) [e](b.md#four) [f](#here)\n## Here\n"
        "```text\n[g](nowhere.md)\n```\n"
    )
    assert broken(tmp_path / "a.md") == ["c.md", "b.md#four"]


def test_the_index_names_every_document() -> None:
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    assert {path for path in (ROOT / "docs").rglob("*.md") if path != index} <= named
