#!/usr/bin/env python
"""Build the site of `make docs`: the pages of docs/, README and its like, the zoo and the Python API, as HTML.

A link that leads nowhere, a page that is not in the menu and a name without a docstring end it with an error.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lib"))

import vmz  # noqa: E402
from vmz import zoo  # noqa: E402
from vmz.errors import UsageError, VmzError  # noqa: E402

CONFIGURATION = Path(__file__).with_name("mkdocs.yml")
IMAGES = ROOT / "docs" / "images"
# Documents outside docs/, and their pages.
OTHERS = {
    "README.md": "start.md",
    "CHANGELOG.md": "project/CHANGELOG.md",
    "SECURITY.md": "project/SECURITY.md",
    "CONTRIBUTING.md": "project/CONTRIBUTING.md",
    "docker/README.md": "project/docker.md",
    "ops/README.md": "project/ops.md",
}
PICTURE = re.compile(r"(!\[[^\]]*\])\(([^)\s]+)\)")
LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(?ms)^\s*```.*?^\s*```$")
# What vmz gives besides what __all__ names: the types that it returns.
TYPES = (
    "vmz.model.module.VideoModel",
    "vmz.model.engine_model.EngineModel",
    "vmz.model.prediction.Predictor",
    "vmz.results.prediction.Prediction",
    "vmz.results.prediction.ClassScore",
    "vmz.results.prediction.ClipScores",
    "vmz.model.names.Weights",
    "vmz.datasets.transform.Transform",
    "vmz.datasets.video_dataset.VideoDataset",
    "vmz.errors.UsageError",
    "vmz.errors.VmzError",
)


def pages() -> dict[Path, str]:
    """{document: its page}, of the documents that are written by hand."""
    found = {path: path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))}
    found[ROOT / "docs" / "README.md"] = "index.md"
    return {**found, **{ROOT / name: page for name, page in OTHERS.items()}}


def with_links(document: Path, text: str, known: dict[Path, str]) -> str:
    """The text with links from page to page; a file of the clone that is no page is named, without a link."""
    page = known[document]

    def changed(match: re.Match[str]) -> str:
        shown, (target, _, heading) = match[1], match[2].partition("#")
        if "://" in target or not target:
            return match[0]
        path = (document.parent / target).resolve()
        if path in known:
            other = os.path.relpath(known[path], os.path.dirname(page) or ".")
            if shown.endswith(".md"):  # a file's name, which a reader of the site does not know
                shown = title(path)
            return f"[{shown}]({other}{'#' + heading if heading else ''})"
        if not path.exists():
            raise VmzError(f"{document.relative_to(ROOT)}: the link to {target} leads nowhere")
        name = path.relative_to(ROOT).as_posix()
        return f"{shown} (`{name}`)" if name not in shown else shown

    def pictured(match: re.Match[str]) -> str:
        path = (document.parent / match[2]).resolve()
        if not path.is_relative_to(IMAGES) or not path.is_file():
            raise VmzError(f"{document.relative_to(ROOT)}: the picture {match[2]} is not a file of docs/images")
        place = os.path.relpath(path.relative_to(ROOT / "docs").as_posix(), os.path.dirname(page) or ".")
        return f"{match[1]}({place})"

    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [PICTURE.sub(pictured, LINK.sub(changed, text[end : fence.start()])), fence[0]]
        end = fence.end()
    return "".join([*parts, PICTURE.sub(pictured, LINK.sub(changed, text[end:]))])


def title(document: Path) -> str:
    """Its first heading."""
    found = re.search(r"(?m)^# (.+)$", document.read_text())
    return document.name if found is None else found[1]


def zoo_page() -> str:
    """Every row of the manifest: a table, then what is known of each."""
    lines = [
        "---\nhide: [toc]\n---",  # the table needs the room, and has the links
        "# The zoo",
        "",
        f"The manifest has {len(zoo.rows())} published checkpoints. `vmz zoo list` prints this table, "
        "`vmz zoo show NAME` what is known of one, and `vmz zoo fetch NAME` gets its weights. "
        "[Predict](../guide/predict.md) shows how to use one. Accuracies are as published, in percent; a dash: it "
        "was not published.",
        "",
        "| name | clip | crop | trained on | pre-trained on | clip@1 | video@1 | video@5 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in zoo.rows():
        cells = (
            f"[{row.name}](#{row.name.lower()})", row.flags["clip_length_rgb"], row.flags["crop_size"], row.train_data,
            row.pretrain_data, row.published.clip_top1, row.published.video_top1, row.published.video_top5,
        )  # fmt: skip
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    for row in zoo.rows():
        lines += ["", f"## {row.name}", "", row.display_name, "", *_facts(row)]
    return "\n".join(lines) + "\n"


def _facts(row: zoo.ZooRow) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    facts = {
        "file": row.file,
        "published at": row.url,
        "fine-tuned from": row.initialised_from and f"[{row.initialised_from}](#{row.initialised_from.lower()})",
        "modality": row.modality,
        "frames a second": row.input_fps,
        "multiply-adds of a clip": row.published.gflops and f"{row.published.gflops} G",
        "parameters": row.published.params_m and f"{row.published.params_m} M",
        "network": ", ".join(f"`{name}={value}`" for name, value in row.flags.items() if value is not None),
        "test": row.protocol,
        "source": row.source,
    }
    for name, value in facts.items():
        if value is not None:
            yield f"| {name} | {_cell(value)} |"
    if row.file is None:
        yield "| | announced, and not published |"
    yield ""
    for remark in row.remarks:
        yield f"- {remark}"


def _cell(value: object) -> str:
    return "-" if value is None else re.sub(r"(?<!\\)\|", r"\|", str(value))


def api_page() -> str:
    """The public names of `vmz` and the types that they return, for mkdocstrings. None of them is imported."""
    places = {name: ".".join(vmz._PLACES.get(name, ("vmz", name))) for name in vmz.__all__ if not name.startswith("__")}
    lines = ["# Python API", "", "`import vmz` gives these names. They are imported when they are first used.", ""]
    lines += ["## Functions", ""]
    lines += [_documented(place, f"vmz.{name}") for name, place in places.items()]
    lines += ["", "## Types", "", "What these calls return and raise.", ""]
    return "\n".join([*lines, *(_documented(place, place.rpartition(".")[2]) for place in TYPES)]) + "\n"


def _documented(place: str, heading: str) -> str:
    module, _, name = place.rpartition(".")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    parts = ast.parse(Path(spec.origin).read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    found = next((part for part in parts if isinstance(part, kinds) and part.name == name), None)
    if found is None or not ast.get_docstring(found):
        raise VmzError(f"{place} has no docstring, and the reference is made of them")
    return f"::: {place}\n    options:\n      heading: {heading}\n      toc_label: {heading}\n"


def write_pages(folder: Path) -> None:
    """All pages as Markdown."""
    known = pages()
    texts = {page: with_links(document, document.read_text(), known) for document, page in known.items()}
    texts["reference/zoo.md"], texts["reference/python_api.md"] = zoo_page(), api_page()
    for page, text in texts.items():
        (folder / page).parent.mkdir(parents=True, exist_ok=True)
        (folder / page).write_text(text)
    for picture in [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".jpg", ".svg", ".webp")]:
        target = folder / picture.relative_to(ROOT / "docs")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, target)


def build(output: Path) -> None:
    """The site in a folder, which is replaced. Raises UsageError without MkDocs, VmzError for what it reports."""
    try:
        for package in ("mkdocs", "material", "mkdocstrings"):
            importlib.import_module(package)
    except ImportError as error:
        raise UsageError(f"the site needs MkDocs ({error}); `make docs` installs it") from error
    places = {"LIBRARY": ROOT / "lib", "HERE": CONFIGURATION.parent}
    with tempfile.TemporaryDirectory(prefix="vmz_docs_") as name:
        write_pages(Path(name, "pages"))
        shutil.copy(CONFIGURATION.with_name("site.css"), Path(name, "pages"))
        text = re.sub("LIBRARY|HERE", lambda found: str(places[found[0]]), CONFIGURATION.read_text())
        Path(name, "mkdocs.yml").write_text(text)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(output.resolve())]
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
        done = subprocess.run(command, cwd=name, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = re.findall(r"(?m)^(?:WARNING|ERROR) .*(?:\n    .*)*", done.stderr) or [done.stderr]
            raise VmzError("\n".join(["the site was not built:", *lines]))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", metavar="DIR")
    options = parser.parse_args(argv)
    try:
        build(options.output)
    except VmzError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    print(f"{options.output / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
