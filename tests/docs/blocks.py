"""The code blocks of README.md and the Markdown files of docs/: what each is, and what the comment before it says.

A block is fenced. Its language is what stands behind the fence (python, sh, text, csv, ...); without one it is `sh`
where its first line is a command, and else `text`. An HTML comment on the line before the fence says how it is run:

    <!-- not run: needs 8 GPUs -->     never; the reason is one of REASONS
    <!-- slow -->                      with the tests marked slow, for it takes more than seconds
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = ("python", "torchrun", "make", "git", "docker", "tools/", "data/", "scripts/", ".venv", "pip", "curl", "#!")
REASONS = (
    "needs a GPU",
    "needs 8 GPUs",
    "needs 4 machines",
    "needs Slurm",
    "needs Docker",
    "needs UCF101",
    "takes hours",
)
# What CI runs as commands of its own, or a test of this suite cannot do: whole blocks of the README.
MAKE = {
    "make demo": "CI runs it",
    "make demo-train": "CI runs it where time allows",
    "make demo-sound": "like demo-train",
    "make setup-caffe2": "CI runs it",
    "git clone <this repository> vmz && cd vmz": "the tests are in a clone",
    "make setup": "CI runs it",
    "source .venv/bin/activate": "the tests are in its environment",
}


@dataclass(frozen=True)
class Block:
    path: Path
    line: int  # of the opening fence, from 1
    language: str
    text: str
    not_run: str = ""  # why, "" where it is run
    slow: bool = False

    @property
    def name(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}"

    @property
    def is_code(self) -> bool:
        return self.language in ("python", "sh", "bash")

    @property
    def on_caffe2(self) -> bool:
        """Whether it needs the second environment."""
        return bool(re.search(r"(from|import) caffe2|caffe2_engine|vmz\.legacy|--engine[= ]caffe2", self.text))

    def commands(self) -> list[str]:
        """The lines of a shell block, continued ones joined, without comments."""
        lines = re.sub(r"\\\n\s*", "", self.text).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]

    def is_left_to_make(self) -> bool:
        return self.language == "sh" and all(command in MAKE for command in self.commands())


def blocks_of(path: Path) -> list[Block]:
    """All of a Markdown file in order. Raises ValueError for a fence that is never closed."""
    found: list[Block] = []
    lines = path.read_text().splitlines()
    number = 0
    while number < len(lines):
        fence = re.fullmatch(r"(\s*)```(\w*).*", lines[number])
        if fence is None:
            number += 1
            continue
        opened = number
        while number + 1 < len(lines) and lines[number + 1].strip() != "```":
            number += 1
        if number + 1 == len(lines):
            raise ValueError(f"{path}:{opened + 1}: this fence is never closed")
        indent = len(fence[1])
        text = "\n".join(line[indent:] for line in lines[opened + 1 : number + 1]) + "\n"
        comment = re.fullmatch(r"\s*<!-- (?:not run: (.+)|(slow)) -->", lines[opened - 1] if opened else "")
        language = fence[2] or ("sh" if text.startswith(COMMANDS) else "text")
        why, slow = (comment[1] or "", bool(comment[2])) if comment else ("", False)
        found.append(Block(path, opened + 1, language, text, why, slow))
        number += 2
    return found


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def all_blocks() -> list[Block]:
    return [block for path in documents() for block in blocks_of(path)]


def indented_commands(path: Path) -> list[str]:
    """Lines that look like a command but stand in no fence: no test would run them."""
    fenced = {block.line + offset for block in blocks_of(path) for offset in range(block.text.count("\n") + 2)}
    lines = enumerate(path.read_text().splitlines(), 1)
    return [f"{path.name}:{number}" for number, line in lines if number not in fenced and is_indented_command(line)]


def is_indented_command(line: str) -> bool:
    return line.startswith("    ") and line.strip().startswith(COMMANDS)
