"""A Dockerfile as its instructions, and a lock as its packages: what the tests of the images read."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILES = {"caffe2": ROOT / "docker" / "Dockerfile", "pytorch": ROOT / "docker" / "torch.Dockerfile"}
RUN_TIME_LOCKS = {
    "caffe2": [ROOT / "requirements.txt"],
    "pytorch": [ROOT / "docker" / "torch-requirements-cpu.txt", ROOT / "docker" / "torch-requirements-cuda.txt"],
}
TEST_LOCK = ROOT / "requirements-test.txt"


def instructions(path: Path) -> list[tuple[str, str]]:
    """(instruction, the rest), comments left out and continued lines joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", path.read_text())
    lines = text.replace("\\\n", " ").splitlines()
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def last(path: Path, instruction: str) -> str:
    return [rest for name, rest in instructions(path) if name == instruction][-1]


def arguments(path: Path) -> dict[str, set[str]]:
    """Every default of each build argument."""
    found: dict[str, set[str]] = {}
    for name, rest in instructions(path):
        if name == "ARG":
            key, _, value = rest.partition("=")
            found.setdefault(key, set()).add(value)
    return found


def pairs(text: str) -> dict[str, str]:
    """The `NAME=value` of an ENV or a LABEL."""
    return dict(word.split("=", 1) for word in shlex.split(text))


def packages(lock: Path) -> dict[str, list[str]]:
    """The hashes of each `name==version` of a lock."""
    found: dict[str, list[str]] = {}
    for entry in lock.read_text().replace("\\\n", " ").splitlines():
        if entry.strip() and not entry.startswith("#"):
            words = entry.split()
            found[words[0]] = [word for word in words[1:] if word.startswith("--hash=sha256:")]
    return found
