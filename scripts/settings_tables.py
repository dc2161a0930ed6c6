#!/usr/bin/env python3
"""Write the tables of settings: of every published model in test_net, and of ten commands with the source of each.

All of docs/reference/zoo_settings.md is written, and the part of docs/reference/settings.md between its two marks.
Nothing is run: the flags are resolved as the tools resolve them. Without --write the exit status is 1 when a page is
not current.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vmz import zoo
from vmz.checkpoints.mdl import save_mdl
from vmz.checkpoints.pickles import save_pickle
from vmz.checkpoints.seeded import seeded_weights
from vmz.cli import test_net, train_net
from vmz.cli.shared.parser import Parser
from vmz.cli.shared.running import run_tool
from vmz.errors import VmzError
from vmz.files import atomic_write
from vmz.models.config import ModelConfig
from vmz.models.registry import build
from vmz.settings.resolution import SOURCES, TESTING, Resolution, ZooSettings, resolve

DOCS = Path(__file__).resolve().parents[1] / "docs" / "reference"
ZOO_PAGE, SETTINGS_PAGE = DOCS / "zoo_settings.md", DOCS / "settings.md"
BEGIN, END = "<!-- written by scripts/settings_tables.py -->\n", "<!-- end -->\n"
UNPUBLISHED = "?"

CSN_FILE = "ipCSN_152_ft_kinetics_from_ig65m_f133090949.pkl"
COMMANDS = (
    "test_net.py --load_model_path=ours.pkl",
    "test_net.py --load_model_path=ours.mdl",
    "test_net.py --load_model_path=ours.pkl --video_res_type=0 --clip_per_video=10",
    "test_net.py --load_model_path=foreign.pkl",
    "test_net.py --load_model_path=foreign.pkl --model_depth=34",
    f"test_net.py --model_name=ip-csn --model_depth=152 --num_labels=400 --load_model_path={CSN_FILE}",
    f"test_net.py --load_model_path={CSN_FILE} --protocol=fast",
    "test_net.py --zoo=r2plus1d_d18_l8 --clip_per_video=5",
    "test_net.py --zoo=r2plus1d_d18_l8 --load_model_path=ours.pkl",
    "train_net.py --zoo=ir_csn_152_ft_kinetics_from_ig65m --num_labels=51",
    "train_net.py --load_model_path=ours.pkl --num_labels=5",
    "test_net.py --random_weights=1",
)


def tested_with(row: zoo.ZooRow, protocol: str) -> Resolution:
    """What test_net takes from --zoo; a value that was not published is UNPUBLISHED."""
    defaults = vars(test_net.evaluation_parser("").parse_args([]))
    missing = {flag: UNPUBLISHED for flag, value in row.flags.items() if value is None}
    return resolve({"zoo": row.name, "protocol": protocol, **missing}, defaults, TESTING)


def zoo_page() -> str:
    """docs/reference/zoo_settings.md."""
    lines = [
        "# Settings of the published models in test_net",
        "",
        "This page lists the settings that `tools/test_net.py` uses with `--zoo=NAME`, or with a checkpoint that has a",
        "published file name (`--protocol=published`). `python scripts/settings_tables.py --write` writes it.",
        "`tests/scripts/test_settings_tables.py` checks that it is current, and compares it with the tables and",
        "scripts of the original.",
        "",
        "- `clip`: frames x sampling rate; of flow for the flow networks.",
        "- `views`: clips x crops of a video.",
        "- `head`: fc, or convolutional, which scores several positions of a crop.",
        "- `crops at a time`: number of crops that go through the network together (0: a whole batch).",
        "- `test`: the protocol stated for the model.",
        "- The last two columns are the settings of `--protocol=fast`.",
        "- `?`: not published. It is read from the checkpoint's blobs, or must be given as a flag.",
        "",
        "| model | network | labels | clip | resize | crop | pool1 | head | views | crops at a time | test | "
        "fast: crop | views |",
        "|---|---|---:|---|---|---:|---:|---|---|---:|---|---:|---|",
    ]
    for row in zoo.rows():
        values, fast = (tested_with(row, protocol).values() for protocol in zoo.PROTOCOLS)
        name = f"{values['model_name']}-{values['model_depth']}"
        cells = [
            row.name, name, values["num_labels"], clip_text(values), resize_text(values), values["crop_size"],
            values["use_pool1"], "convolutional" if values["use_convolutional_pred"] else "fc", views_text(values),
            values["crop_per_inference"], protocol_text(row), fast["crop_size"], views_text(fast),
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def clip_text(values: Mapping[str, Any]) -> str:
    if values["input_type"] == 1:
        return f"{values['clip_length_of']}x{values['sampling_rate_of']} flow"
    return f"{values['clip_length_rgb']}x{values['sampling_rate_rgb']}"


def resize_text(values: Mapping[str, Any]) -> str:
    height, width = values["scale_h"], values["scale_w"]
    if UNPUBLISHED in (height, width):
        return UNPUBLISHED
    return f"short edge {min(height, width)}" if values["video_res_type"] == 1 else f"{width}x{height}"


def views_text(values: Mapping[str, Any]) -> str:
    return f"{values['clip_per_video']}x{values['crop_per_clip']}"


def protocol_text(row: zoo.ZooRow) -> str:
    if row.protocol is None:
        return "none; defaults"
    entry = zoo.manifest()["protocols"][row.protocol]
    return str(row.protocol) if entry["flags"] else f"{row.protocol}, which test_net does not run; defaults"


def commands_table(folder: Path) -> str:
    """The commands, each with its settings by source, as Markdown."""
    write_checkpoints(folder)
    lines = ["| command | settings |", "|---|---|"]
    for command in COMMANDS:
        tool, *flags = command.split()
        argv = [flag.replace("=", f"={folder}/", 1) if "load_model_path" in flag else flag for flag in flags]
        try:
            found = source_cells(parsed(tool, argv))
        except VmzError as error:
            found = f"error: {error}".replace(f"{folder}/", "")
        lines.append(f"| `{command}` | {found} |")
    return "\n".join(lines) + "\n"


def parsed(tool: str, argv: Sequence[str]) -> ZooSettings:
    return train_net.configuration(argv) if tool == "train_net.py" else test_net.configuration(argv)


def source_cells(config: ZooSettings) -> str:
    found = config.resolution
    assert found is not None
    parts = []
    for source in SOURCES:
        settings = found.of(source)
        if settings:
            text = " ".join(f"{flag}={value}" for flag, value in settings.items() if value is not None)
            parts.append(f"**{source}**: {text}")
    if found.differences:
        parts.append(f"**warning**: not {found.reference}: {', '.join(found.differences)}")
    return "<br>".join(parts)


def write_checkpoints(folder: Path) -> None:
    """ours.pkl and ours.mdl as train_net writes them, foreign.pkl with blobs alone."""
    flags = ["--model_depth=10", "--channel_multiplier=0.1", "--num_labels=3", "--clip_length_rgb=8"]
    flags.append("--test_clip_per_video=3")
    options = train_net.configuration(flags).flags()
    weights = weights_of(model_depth=10, channel_multiplier=0.1, num_labels=3, clip_length=8)
    about = {"protocol": options, "labels": ["left", "right", "up"]}
    save_pickle(folder / "ours.pkl", weights, about)
    save_mdl(folder / "ours.mdl", weights, about={"run": {"options": options}, "labels": about["labels"]})
    foreign = weights_of(model_name="ir-csn", model_depth=26, channel_multiplier=0.25, num_labels=7)
    save_pickle(folder / "foreign.pkl", foreign)


def weights_of(**config: Any) -> dict[str, Any]:
    model = build(ModelConfig(**config))
    return seeded_weights([*model.params, *model.computed_params], 1)


def settings_page(current: str) -> str:
    """docs/reference/settings.md with the table renewed."""
    before, _, rest = current.partition(BEGIN)
    _, _, after = rest.partition(END)
    with tempfile.TemporaryDirectory() as folder:
        return f"{before}{BEGIN}\n{commands_table(Path(folder))}\n{END}{after}"


def main(argv: Sequence[str]) -> int:
    parser = Parser("Write the tables of settings in docs/reference.")
    parser.add_argument(
        "--write", action="store_true", help="write the pages; without it, say whether they are current"
    )
    pages = {ZOO_PAGE: zoo_page(), SETTINGS_PAGE: settings_page(SETTINGS_PAGE.read_text())}
    if parser.parse_args(list(argv)).write:
        for path, text in pages.items():
            with atomic_write(path, "w") as stream:
                stream.write(text)
        return 0
    stale = [path.name for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    if stale:
        names = " and ".join(stale)
        raise VmzError(f"not current in docs/reference: {names}; run scripts/settings_tables.py --write")
    return 0


if __name__ == "__main__":
    sys.exit(run_tool(main))
