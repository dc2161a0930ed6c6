"""`make docs`: the site is built whole, its links lead somewhere, and it asks nobody else for anything."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT
from vmz import zoo
from vmz.errors import VmzError

_SPEC = importlib.util.spec_from_file_location("docs_build", ROOT / "scripts" / "docs" / "build.py")
assert _SPEC is not None and _SPEC.loader is not None
build = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(build)

HAS_MKDOCS = all(importlib.util.find_spec(name) for name in ("mkdocs", "material", "mkdocstrings"))
needs_mkdocs = pytest.mark.skipif(
    not HAS_MKDOCS and not os.environ.get("CI"), reason="MkDocs is not installed: make docs installs it"
)
# What a browser fetches by itself; a link that a person may follow is not one.
FETCHED = re.compile(
    r"""<(?:script|img|source|iframe|video)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|(?:@import\s+|url\()["']?((?:https?:)?//[^"')\s]+)"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("site")
    build.build(folder)
    return folder


@needs_mkdocs
@pytest.mark.long
def test_every_document_is_a_page(site: Path) -> None:
    pages = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert {page.replace(".md", ".html") for page in build.pages().values()} <= pages
    assert {"reference/zoo.html", "reference/python_api.html", "start.html"} <= pages


@needs_mkdocs
@pytest.mark.long
def test_nothing_comes_from_elsewhere(site: Path) -> None:
    texts = {path: path.read_text() for kind in ("html", "css") for path in site.rglob(f"*.{kind}")}
    found = {str(path): [next(filter(None, hit)) for hit in FETCHED.findall(text)] for path, text in texts.items()}
    assert len(texts) > 40 and {path: hits for path, hits in found.items() if hits} == {}
    assert not [
        path for path, text in texts.items() if 'class="mermaid"' in text
    ]  # would be drawn by a script from afar


@needs_mkdocs
@pytest.mark.long
def test_the_reference_has_each_public_name_and_the_zoo_each_model(site: Path) -> None:
    import vmz

    reference, models = (
        (site / "reference" / "python_api.html").read_text(),
        (site / "reference" / "zoo.html").read_text(),
    )
    for name in [name for name in vmz.__all__ if not name.startswith("__")]:
        assert f"vmz.{name}" in reference, name
    for name in ("VideoModel", "EngineModel", "Prediction", "Weights", "VideoDataset"):
        assert re.search(rf'id="[\w.]+\.{name}"', reference), name
    assert [row.name for row in zoo.rows() if f'id="{row.name.lower()}"' not in models] == []


@needs_mkdocs
@pytest.mark.long
@pytest.mark.parametrize("link", ["nowhere.md", "../guide/predict.md#nowhere"])
def test_a_link_that_leads_nowhere_is_an_error(link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "zoo_page", lambda: f"# The zoo\n\n[here]({link})\n")
    monkeypatch.setattr(build, "api_page", lambda: "# Python API\n")
    with pytest.raises(VmzError, match=r"the site was not built:\n.*reference/zoo\.md.*nowhere"):
        build.build(tmp_path)


def test_links_from_page_to_page(tmp_path: Path) -> None:
    known = build.pages()
    document = ROOT / "docs" / "guide" / "predict.md"

    def changed(text: str) -> str:
        result: str = build.with_links(document, text, known)
        return result

    assert changed("[a](export.md#b) [c](../../README.md) [d](https://example.org)") == (
        "[a](export.md#b) [c](../start.md) [d](https://example.org)"
    )
    assert changed("[export.md](export.md#b)") == "[Export a model](export.md#b)"
    assert changed("[the manifest](../../models_zoo/manifest.json)") == "the manifest (`models_zoo/manifest.json`)"
    assert changed("```text\n[a](b.md)\n```\n") == "```text\n[a](b.md)\n```\n"
    with pytest.raises(VmzError, match=r"docs/guide/predict.md: the link to b.md leads nowhere"):
        changed("[a](b.md)")
    index: str = build.with_links(ROOT / "README.md", "[a](docs/README.md) [b](docs/guide/predict.md)", known)
    assert index == "[a](index.md) [b](guide/predict.md)"


def test_what_a_request_of_a_page_is() -> None:
    text = '<a href="https://a.org">a</a><script src="https://b.org/b.js"></script><link rel="canonical" href="https://c.org">'
    assert [next(filter(None, hit)) for hit in FETCHED.findall(text)] == ["https://b.org/b.js"]
    assert FETCHED.findall("a { background: url('//d.org/d.png') }")[0][2] == "//d.org/d.png"
