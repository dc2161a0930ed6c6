"""Every flag of the original's tools is taken by the tool of the same name, also abbreviated as it was there."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.goldens.recordings import SHARED, needs_shared
from vmz.cli.shared.original_flags import ORIGINAL_FLAGS
from vmz.cli.shared.parser import Parser

ROOT = Path(__file__).resolve().parents[3]
LATER = {"test_net": ["get_video_id"], "train_net": ["pretrained_model"]}  # what its scripts and issues use besides


class Caught(Exception):
    """Raised in place of parsing."""


def parser_of(tool: str, monkeypatch: pytest.MonkeyPatch) -> Parser:
    """The parser that a tool makes."""
    folder = "data." if (ROOT / "data" / f"{tool}.py").is_file() else ""
    module = importlib.import_module(f"vmz.cli.{folder}{tool}")
    caught: list[Parser] = []

    def catch(self: Parser, argv: list[str]) -> Any:
        caught.append(self)
        raise Caught

    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", [f"{tool}.py"])
        patched.setattr(Parser, "_spelled_out", catch)
        with pytest.raises(Caught):
            module.work([])
    return caught[0]


@pytest.mark.parametrize("tool", ORIGINAL_FLAGS)
def test_every_flag_and_every_abbreviation_of_the_original(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parser = parser_of(tool, monkeypatch)
    names = ORIGINAL_FLAGS[tool]
    known = set(parser._option_string_actions)
    assert {f"--{name}" for name in (*names, *LATER.get(tool, []))} <= known
    for name in names:
        for end in range(1, len(name)):
            if f"--{name[:end]}" not in known and [
                other for other in (*names, "help") if other.startswith(name[:end])
            ] == [name]:
                assert parser._full_name(f"--{name[:end]}") == f"--{name}"


@needs_shared
@pytest.mark.parametrize("tool", ORIGINAL_FLAGS)
def test_the_originals_defaults_may_be_given(tool: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = json.loads((SHARED / "spec" / "flags.json").read_text())["tools"][tool]["flags"]
    assert [fact["flag"].lstrip("-") for fact in facts] == list(ORIGINAL_FLAGS[tool])
    parser = parser_of(tool, monkeypatch)
    values = {fact["flag"]: "x" if fact["default"] is None else fact["default"] for fact in facts}
    values.update({"--gpus": "0"} if "--gpus" in values else {})
    options = parser.parse_args([f"{flag}={value}" for flag, value in values.items()])
    assert (
        vars(options).items()
        >= {fact["flag"].lstrip("-"): fact["default"] for fact in facts if fact["default"]}.items()
    )
