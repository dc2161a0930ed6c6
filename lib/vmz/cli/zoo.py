"""The published models, and private zoos: `list`, `show` and `card` say what is known, `fetch` gets weights, `verify`
checks what is here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Optional

from vmz import zoo
from vmz.cli.shared.options import add_own
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError
from vmz.model.card import card_of
from vmz.settings.model import ModelSettings
from vmz.text import counted

FETCH = (
    "Get the weights of models into the cache ($VMZ_CACHE, else ~/.cache/vmz) and print the paths. An interrupted "
    "download resumes where it stopped. $VMZ_MIRROR: an address with the files, tried before the published links. "
    "VMZ_OFFLINE=1: no network."
)
VERIFY = "Read files of the cache and compare each with the SHA-256 recorded at its first download."
CARD = (
    "What is known of a model, for people: network, figures, protocol, clips, class names, licence, how to load it. "
    "What is not known is said to be so."
)
COLUMNS = (
    "name",
    "clip",
    "crop",
    "trained on",
    "pre-trained on",
    "clip@1",
    "video@1",
    "video@5",
    "GFLOPs",
    "params",
    "note",
)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = Parser("The published models.")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="one line a model", description="One line a model.")
    listing.add_argument("--model_name", help="only this network, e.g. ir-csn")
    listing.add_argument("--data", help="only models trained or pre-trained on this, e.g. ig-65m")
    listing.add_argument("--json", action="store_true", help="the rows of the manifest as a JSON list")
    showing = commands.add_parser("show", help="all about one model", description="Everything known about one model.")
    showing.add_argument("name", help="its name, or the name of its file")
    showing.add_argument("--json", action="store_true", help="the row of the manifest as JSON")
    fetching = commands.add_parser("fetch", help="get the weights of models", description=FETCH)
    fetching.add_argument("names", nargs="+", metavar="NAME", help="a model's name, or the name of its file")
    fetching.add_argument("--again", action="store_true", help="download it again, and trust the new file")
    verifying = commands.add_parser(
        "verify", help="compare downloaded files with the first download", description=VERIFY
    )
    verifying.add_argument("names", nargs="*", metavar="NAME", help="by default all in the cache")
    card = commands.add_parser("card", help="the card of one model, as Markdown", description=CARD)
    card.add_argument("name", metavar="NAME|FILE|DIR", help="a published name, a file of weights, or a saved folder")
    for command in (listing, showing, fetching, verifying, card):
        add_own(command, "private zoo", ModelSettings, ("zoo_manifest",))
    return parser.parse_args(argv)


def work(argv: Sequence[str]) -> int:
    options = parse(argv)
    zoo.use_manifests(options.zoo_manifest)
    if options.command == "list":
        chosen = zoo.select(options.model_name, options.data)
        print(json.dumps([asdict(row) for row in chosen], indent=1) if options.json else table(chosen))
    elif options.command == "fetch":
        for name, row in [(name, None if zoo.is_hub_name(name) else zoo.find(name)) for name in options.names]:
            print(zoo.fetch(row, options.again) if row is not None else zoo.fetch_hub(name, again=options.again))
    elif options.command == "verify":
        return verify(options.names or [row.name for row in zoo.rows() if row.file and zoo.cached(row)])
    elif options.command == "card":
        print(card_of(options.name).markdown(), end="")
    else:
        row = zoo.find(options.name)
        print(json.dumps(asdict(row), indent=1) if options.json else page(row))
    return 0


def verify(chosen: Sequence[str]) -> int:
    """The exit status. A file that is wrong does not keep the others from being looked at."""
    if not chosen:
        print(f"no file of a published model is in {zoo.folder()}")
    status = 0
    for name in chosen:
        try:
            hub = zoo.is_hub_name(name)
            files = zoo.verify_hub(name) if hub else [(Path(name), zoo.verify(zoo.find(name)))]
            for path, known in files:
                on = f" on {known.fetched}" if known.fetched else ""
                what = f"{name}/{path.name}" if hub else name
                print(f"{what}: {counted(known.bytes, 'byte')}, SHA-256 {known.sha256}, from {known.source}{on}")
        except VmzError as error:
            print(f"error: {error}", file=sys.stderr)
            status = max(status, error.exit_status)
    return status


def table(chosen: Sequence[zoo.ZooRow]) -> str:
    lines = [COLUMNS, *(cells(row) for row in chosen)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    text = [
        "  ".join(
            cell.ljust(w) if i in (0, 3, 4, 10) else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))
        )
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    text.append(
        f"{counted(len(chosen), 'model')}; accuracy in percent on the validation set of the training data, -: not "
        f"published"
    )
    return "\n".join(line.rstrip() for line in text)


def cells(row: zoo.ZooRow) -> tuple[str, ...]:
    numbers = row.published
    return (
        row.name,
        shown(row.flags["clip_length_of" if row.flags["input_type"] == 1 else "clip_length_rgb"]),
        shown(row.flags["crop_size"]),
        shown(row.train_data),
        shown(row.pretrain_data),
        shown(numbers.clip_top1),
        shown(numbers.video_top1),
        shown(numbers.video_top5),
        shown(numbers.gflops),
        "-" if numbers.params_m is None else f"{numbers.params_m} M",
        note(row),
    )


def note(row: zoo.ZooRow) -> str:
    """Why a model cannot be used, or what it takes besides pictures; "" where there is nothing to say."""
    if row.file is None:
        return "weights not released"
    return "pictures and sound" if zoo.hears(row) else ""


def page(row: zoo.ZooRow) -> str:
    numbers = row.published
    crop = f" at crop {numbers.gflops_crop_size}" if numbers.gflops is not None else ""
    facts: list[tuple[str, str]] = [
        ("network", row.display_name),
        ("file", shown(row.file)),
        ("url", shown(row.url)),
        ("trained on", shown(row.train_data)),
        ("fine-tuned from", shown(row.initialised_from)),
        ("modality", row.modality),
        ("frames a second", shown(row.input_fps)),
        (
            "accuracy",
            f"clip@1 {shown(numbers.clip_top1)}, video@1 {shown(numbers.video_top1)}, "
            f"video@5 {shown(numbers.video_top5)} (percent)",
        ),
        ("GFLOPs", f"{shown(numbers.gflops)}{crop}"),
        ("parameters", f"{shown(numbers.params_m)} M" if numbers.params_m is not None else "-"),
        ("protocol", protocol(row)),
        ("source", row.source),
        *([("note", note(row))] if note(row) else []),
    ]
    if row.external is not None:
        outside = (
            f"video@1 {row.external['video_top1']}, video@5 {row.external['video_top5']}: {row.external['source']}"
        )
        facts.append(("measured elsewhere", outside))
    facts += [("remark", remark) for remark in row.remarks]
    published, fast = (zoo.protocol_flags(row, protocol) for protocol in zoo.PROTOCOLS)
    lines = [
        row.name,
        *(f"  {key:<18} {value}" for key, value in facts),
        f"flags that --zoo {row.name} sets in testing (--protocol=published):",
        *flag_lines(published),
    ]
    other = {flag: value for flag, value in fast.items() if published.get(flag) != value}
    other.update({flag: 0 for flag in published if flag not in fast})
    if other:
        lines += ["and with --protocol=fast, the default of tools that do not test, instead:", *flag_lines(other)]
    return "\n".join(lines)


def flag_lines(flags: Mapping[str, Any]) -> list[str]:
    return [
        f"  --{flag}={value}" if value is not None else f"  --{flag}: not published, give it yourself"
        for flag, value in flags.items()
    ]


def protocol(row: zoo.ZooRow) -> str:
    entry, name = zoo.protocol_of(row), row.protocol
    if entry is None:
        return "-"
    flags = " ".join(f"--{flag}={value}" for flag, value in entry["flags"].items())
    return f"{name} ({entry['remark']}): {flags}" if flags else f"{name} ({entry['remark']})"


def shown(value: Any) -> str:
    return "-" if value is None else str(value)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command; the exit status."""
    return run_tool(work, argv)


if __name__ == "__main__":
    sys.exit(main())
