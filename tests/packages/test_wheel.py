"""The wheel, in an environment of its own: everything works in an empty folder, far from the clone.

`python -m tests.packages.test_wheel VIDEO` does the same by hand on a video of one's own, and prints what it did.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import vmz
from tests.docs.prepared import network_weights
from tests.support.motion import CLASSES, make_videos
from tests.zoo.server import serving, whole
from vmz import zoo
from vmz.checkpoints.pickles import save_pickle
from vmz.evaluation.config import EvaluationConfig
from vmz.settings.network import model_config

ROOT = Path(__file__).resolve().parents[2]
NAME = "r2plus1d_d18_l8"
TORCH = f"torch=={torch.__version__.partition('+')[0]}"
TIME_S = 1500.0  # pip on a busy machine
SOURCES = ("lib", "models_zoo", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.pkl")


def run(command: list[str], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """In an environment without VMZ's variables."""
    given = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("VMZ_")}
    return subprocess.run(
        command, cwd=folder, env={**given, **environment}, capture_output=True, text=True, check=False, timeout=TIME_S
    )


def build_wheel(folder: Path) -> Path:
    """From a copy of the clone: setuptools leaves folders where it builds."""
    clone = folder / "clone"
    for name in SOURCES:
        source = ROOT / name
        shutil.copytree(source, clone / name, ignore=LEFT_OUT) if source.is_dir() else shutil.copy(source, clone / name)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder)]
    done = run([*pip, str(clone)], folder)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(clone)
    (wheel,) = folder.glob("vmz-*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """The Python of a new environment with the wheel and what pip finds that it needs; PyTorch of the version here."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    done = run([str(python), "-m", "pip", "install", "--quiet", "--no-compile", str(wheel), TORCH], folder)
    assert done.returncode == 0, done.stderr
    return python


@contextmanager
def published(folder: Path) -> Iterator[str]:
    """The address of a server that has the file of NAME: random weights of that network."""
    row = zoo.find(NAME)
    assert row.file is not None
    save_pickle(folder / row.file, network_weights(model_config(EvaluationConfig.resolved(zoo=row.name))))
    with serving({f"/{row.file}": whole((folder / row.file).read_bytes())}) as (address, _):
        yield address


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("environment") / "venv")


@pytest.mark.slow
def test_what_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        for path in (ROOT / "models_zoo").glob("*.json"):
            assert archive.read(f"vmz/models_zoo/{path.name}") == path.read_bytes()
    package = {path.relative_to(ROOT / "lib").as_posix() for path in (ROOT / "lib" / "vmz").rglob("*.py")}
    templates = {p.relative_to(ROOT / "lib").as_posix() for p in (ROOT / "lib").rglob("templates/*") if p.is_file()}
    assert templates and package | templates | {"vmz/py.typed"} <= names
    assert {name.split("/")[0] for name in names} == {"vmz", next(n for n in names if "dist-info" in n).split("/")[0]}


@pytest.mark.slow
def test_every_command_says_its_help_in_an_empty_folder(python: Path, tmp_path: Path) -> None:
    console = [str(python.with_name("vmz"))]
    listed = run([*console, "--help"], tmp_path)
    commands = [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")]
    assert len(commands) > 15 and run([str(python), "-m", "vmz", "--help"], tmp_path).stdout == listed.stdout
    wrong = {name: done.stderr for name in commands if (done := run([*console, name, "--help"], tmp_path)).returncode}
    assert wrong == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_published_model_on_a_video(python: Path, tmp_path: Path) -> None:
    here, server = tmp_path / "empty", tmp_path / "server"
    here.mkdir()
    server.mkdir()
    video = tmp_path / "video.mp4"
    video.write_bytes(make_videos.make_video(CLASSES[0], (1, 0, 0)))
    with published(server) as address:
        command = [str(python.with_name("vmz")), "predict", str(video), "--zoo", NAME, "--report", "page.html"]
        done = run(command, here, VMZ_CACHE=str(tmp_path / "cache"), VMZ_MIRROR=address)
    assert done.returncode == 0, done.stderr
    shown = [line.split("%", 1)[1].strip() for line in done.stdout.splitlines() if " %  " in line]
    assert len(shown) == 5 and set(shown) <= set(vmz.labels("kinetics-400"))
    assert [path.name for path in here.iterdir()] == ["page.html"]
    again = run([*command[:-2]], here, VMZ_CACHE=str(tmp_path / "cache"), VMZ_OFFLINE="1")
    assert [line.split("%")[0] for line in again.stdout.splitlines()[:6]] == [
        line.split("%")[0] for line in done.stdout.splitlines()[:6]
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["export", "--zoo", NAME, "--output", "a.onnx"], "onnx"),
        (["convert", "server/r2.5d_d18_l8.pkl", "--output", "a.safetensors"], "hub"),
        (["predict", "video.mp4", "--zoo", NAME, "--annotate", "shown"], "annotate"),
        (["serve", "--zoo", NAME], "serve"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_a_missing_extra_is_one_sentence(python: Path, tmp_path: Path, arguments: list[str], extra: str) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "video.mp4").write_bytes(make_videos.make_video(CLASSES[0], (1, 0, 0)))
    with published(tmp_path / "server") as address:
        command = [str(python.with_name("vmz")), *arguments]
        done = run(command, tmp_path, VMZ_CACHE=str(tmp_path / "cache"), VMZ_MIRROR=address)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ") and f'pip install "vmz[{extra}]"' in done.stderr


def main() -> None:
    video = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("server", "empty"):
            (folder / part).mkdir()
        started = time.perf_counter()
        wheel = build_wheel(folder)
        python = install(wheel, folder / "venv")
        print(f"pip install {wheel.name}: {time.perf_counter() - started:.0f} s with building it")
        with published(folder / "server") as address:
            started = time.perf_counter()
            command = [str(python.with_name("vmz")), "predict", str(video), "--zoo", NAME]
            done = run(command, folder / "empty", VMZ_CACHE=str(folder / "cache"), VMZ_MIRROR=address)
        print(f"$ vmz {' '.join(command[1:])}\n{done.stdout}{done.stderr}{time.perf_counter() - started:.1f} s")
        for path in sorted((folder / "empty").iterdir()):
            print("left in the folder:", path.name)


if __name__ == "__main__":
    main()
