"""What both Dockerfiles and their locks promise, as far as it can be told without building them."""

from __future__ import annotations

import fnmatch
import re
import subprocess
from pathlib import Path

import pytest

from tests.docker.dockerfiles import (
    DOCKERFILES,
    ROOT,
    RUN_TIME_LOCKS,
    TEST_LOCK,
    arguments,
    instructions,
    last,
    packages,
    pairs,
)

LOCKS = [lock for locks in RUN_TIME_LOCKS.values() for lock in locks]
both = pytest.mark.parametrize("dockerfile", DOCKERFILES.values(), ids=DOCKERFILES)


@both
def test_the_base_is_pinned_by_date_and_digest(dockerfile: Path) -> None:
    (base,) = arguments(dockerfile)["BASE"]
    assert re.fullmatch(r"debian:[a-z]+-20\d{6}-slim@sha256:[0-9a-f]{64}", base), base
    assert {rest.split()[0] for name, rest in instructions(dockerfile) if name == "FROM"} == {"${BASE}"}


@both
def test_the_debian_packages_are_of_one_day_by_default(dockerfile: Path) -> None:
    (snapshot,) = arguments(dockerfile)["SNAPSHOT"]
    assert re.fullmatch(r"\d{8}T\d{6}Z", snapshot)
    (base,) = arguments(dockerfile)["BASE"]
    assert snapshot[:8] >= base.split("-")[1], "packages older than the base cannot be installed on it"
    installing = [rest for name, rest in instructions(dockerfile) if name == "RUN" and "apt-get" in rest]
    assert len(installing) == 2  # the builder's and the image's
    for run in installing:
        assert run.index('apt_snapshot.sh "$SNAPSHOT"') < run.index("update") < run.index("upgrade")


def test_the_end_of_life_base_takes_its_last_security_fixes() -> None:
    assert arguments(DOCKERFILES["caffe2"])["SNAPSHOT"] == {"20260831T000000Z"}


@both
def test_what_is_copied_is_in_the_tree_and_goes_to_the_builder(dockerfile: Path) -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [rest for name, rest in instructions(dockerfile) if name == "COPY" and not rest.startswith("--from")]
    assert copied
    for rest in copied:
        for source in rest.split()[:-1]:
            for variant in ("cpu", "cuda"):
                path = source.replace("${VARIANT}", variant)
                assert (ROOT / path).exists(), path
                inside = [str(file.relative_to(ROOT)) for file in (ROOT / path).rglob("*.py")] or [path]
                assert all(is_sent(file, sent) for file in inside), f"{path} is not in .dockerignore's list"


def is_sent(path: str, sent: list[str]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) or path.startswith(f"{pattern}/") for pattern in sent)


def test_a_wheel_of_the_builder_is_not_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "docker/wheels"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    assert listed.stdout.split() == ["docker/wheels/README.md"]


def test_both_are_used_alike() -> None:
    for instruction in ("ENTRYPOINT", "HEALTHCHECK", "USER", "WORKDIR"):
        assert len({last(path, instruction) for path in DOCKERFILES.values()}) == 1, instruction
    assert last(DOCKERFILES["caffe2"], "ENTRYPOINT") == '["/opt/vmz/bin/python"]'
    assert last(DOCKERFILES["caffe2"], "USER") == "1000:1000"  # by number, so that a cluster sees that it is not root


@pytest.mark.parametrize("engine", DOCKERFILES)
def test_each_names_its_engine(engine: str) -> None:
    assert pairs(last(DOCKERFILES[engine], "ENV"))["VMZ_ENGINE"] == engine


@both
def test_labels(dockerfile: Path) -> None:
    labels = pairs(last(dockerfile, "LABEL"))
    named = {
        name.rsplit(".", 1)[1]: value for name, value in labels.items() if name.startswith("org.opencontainers.image.")
    }
    assert set(named) == {"title", "description", "version", "revision", "source", "licenses"}
    assert (named["version"], named["revision"], named["source"]) == ("$VERSION", "$REVISION", "$SOURCE")
    assert named["licenses"] == "Apache-2.0"
    project = (ROOT / "pyproject.toml").read_text()
    assert arguments(dockerfile)["VERSION"] == set(re.findall(r'(?m)^version = "(.+)"', project))
    names = [name for name, _ in instructions(dockerfile)]
    assert "RUN" not in names[names.index("LABEL") :]  # another revision builds nothing anew


@both
def test_what_the_build_ends_with(dockerfile: Path) -> None:
    runs = [rest for name, rest in instructions(dockerfile) if name == "RUN"]
    assert runs[-1].endswith("scan_image.py") and "lock_down.sh" in runs[-2]


@both
def test_python_packages_come_from_a_lock_by_hash(dockerfile: Path) -> None:
    installs = [rest for name, rest in instructions(dockerfile) if name == "RUN" and "pip install" in rest]
    assert len(installs) == 1 and "--require-hashes" in installs[0] and "--no-deps" in installs[0]


@pytest.mark.parametrize("lock", [*LOCKS, TEST_LOCK], ids=lambda path: path.stem)
def test_a_lock_names_each_file_by_its_hash(lock: Path) -> None:
    found = packages(lock)
    assert found
    for name, hashes in found.items():
        assert re.fullmatch(r"[a-z0-9.-]+==[0-9][0-9A-Za-z.+!-]*", name), name
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", each) for each in hashes), name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_an_image_has_the_run_time_packages_and_no_tests(lock: Path) -> None:
    names = {name.split("==")[0] for name in packages(lock)}
    assert {
        "torch",
        "numpy",
        "protobuf",
        "lmdb",
        "av",
        "opencv-python-headless",
        "h5py",
        "scikit-learn",
        "jinja2",
    } <= names
    assert not names & {"pytest", "pluggy", "iniconfig", "jsonschema", "referencing", "mypy", "ruff", "selenium"}


def test_the_locks_of_the_second_image_differ_in_cuda_alone() -> None:
    cpu, cuda = ({name.split("==")[0]: name for name in packages(lock)} for lock in RUN_TIME_LOCKS["pytorch"])
    assert cpu["torch"] == f"{cuda['torch']}+cpu"
    assert all(cuda[name] == locked for name, locked in cpu.items() if name != "torch")
    assert all(name.startswith(("cuda-", "nvidia-", "triton")) for name in set(cuda) - set(cpu))


def test_what_the_environment_of_the_tests_shares_is_one_version() -> None:
    run_time, tests = packages(RUN_TIME_LOCKS["caffe2"][0]), packages(TEST_LOCK)
    versions = dict(name.split("==") for name in run_time)
    for name, version in (each.split("==") for each in tests):
        assert versions.get(name, version) == version


@both
def test_a_module_is_run_as_a_script_is(dockerfile: Path) -> None:
    """`docker run vmz -m vmz.legacy SCRIPT`: all that is given goes to Python, which finds vmz."""
    assert last(dockerfile, "ENTRYPOINT") == '["/opt/vmz/bin/python"]'
    assert "PYTHONPATH=/vmz/lib" in last(dockerfile, "ENV")


def test_the_caffe2_image_has_what_py2_needs() -> None:
    runs = [rest for name, rest in instructions(DOCKERFILES["caffe2"]) if name == "RUN"]
    assert any("python3-lib2to3" in run and "useradd" in run for run in runs)
