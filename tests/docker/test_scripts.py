"""The scripts of the images on folders made here: apt's sources, the scan, the health check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docker.dockerfiles import ROOT
from tests.engines.real_caffe2 import needs_operators

SNAPSHOT = "http://snapshot.debian.org/archive"


def apt_snapshot(root: Path, time: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(ROOT / "docker" / "apt_snapshot.sh"), time, str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def make_root(folder: Path, release: str) -> Path:
    (folder / "etc" / "apt" / "sources.list.d").mkdir(parents=True)
    (folder / "etc" / "os-release").write_text(f"ID=debian\nVERSION_CODENAME={release}\n")
    (folder / "etc" / "apt" / "sources.list").write_text("deb http://deb.debian.org/debian old main\n")
    (folder / "etc" / "apt" / "sources.list.d" / "debian.sources").write_text("Types: deb\n")
    return folder


@pytest.mark.parametrize("release", ["bullseye", "bookworm"])
def test_a_time_points_apt_at_all_three_archives_as_they_were(tmp_path: Path, release: str) -> None:
    root = make_root(tmp_path, release)
    assert apt_snapshot(root, "20260831T000000Z").returncode == 0
    assert (root / "etc/apt/sources.list").read_text().splitlines() == [
        f"deb [check-valid-until=no] {SNAPSHOT}/debian/20260831T000000Z {release} main",
        f"deb [check-valid-until=no] {SNAPSHOT}/debian/20260831T000000Z {release}-updates main",
        f"deb [check-valid-until=no] {SNAPSHOT}/debian-security/20260831T000000Z {release}-security main",
    ]
    assert list((root / "etc/apt/sources.list.d").iterdir()) == []
    assert 'Acquire::Check-Valid-Until "false";' in (root / "etc/apt/apt.conf.d/99snapshot").read_text()


def test_no_time_leaves_apt_as_it_is(tmp_path: Path) -> None:
    root = make_root(tmp_path, "bullseye")
    assert apt_snapshot(root, "").returncode == 0
    assert "old main" in (root / "etc/apt/sources.list").read_text()
    assert (root / "etc/apt/sources.list.d/debian.sources").exists()


def test_a_time_that_is_none_is_refused_before_anything_is_removed(tmp_path: Path) -> None:
    root = make_root(tmp_path, "bullseye")
    refused = apt_snapshot(root, "2026-08-31")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "error: SNAPSHOT=2026-08-31 is not a time of snapshot.debian.org; give one such as 20260831T000000Z, or none"
    ]
    assert (root / "etc/apt/sources.list").exists()


def scan(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "docker" / "scan_image.py"), str(root)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_scan_finds_what_it_looks_for(tmp_path: Path) -> None:
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("open", 0o666), ("fine", 0o644)):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(mode)
    for name, mode in (("shared", 0o2775), ("var", 0o755), ("tmp", 0o1777), ("dev", 0o777)):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
    (tmp_path / "var" / "tmp").mkdir()
    (tmp_path / "var" / "tmp").chmod(0o1777)
    (tmp_path / "link").symlink_to("fine")  # a link's own mode is 777 and means nothing
    found = scan(tmp_path)
    assert found.returncode == 1
    assert sorted(line.split(": ")[0].split("/")[-1] for line in found.stdout.splitlines()) == [
        "open",
        "setgid",
        "setuid",
        "shared",
        "tmp",  # /var/tmp
    ]


def test_the_scan_allows_tmp_with_its_sticky_bit_only(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert scan(tmp_path).returncode == 0
    (tmp_path / "tmp").chmod(0o777)
    assert scan(tmp_path).returncode == 1


KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\n"
LEFT = {  # what a build may leave, and what the scan says of it
    "usr/bin/x86_64-linux-gnu-gcc-10": "compiles or fetches",
    "usr/bin/c++": "compiles or fetches",
    "usr/bin/ld": "compiles or fetches",
    "usr/local/bin/cmake": "compiles or fetches",
    "usr/bin/curl": "compiles or fetches",
    "usr/bin/ssh": "compiles or fetches",
    "var/lib/apt/lists/deb.debian.org_Packages": "was left by the build",
    "var/cache/apt/archives/g++.deb": "was left by the build",
    "root/.cache/pip": "was left by the build",
    "home/vmz/.cache/pip": "was left by the build",
    "vmz/.git": "was left by the build",
    "root/.netrc": "is a file for secrets",
    "home/vmz/.ssh/id_ed25519": "is a file for secrets",
    "root/.docker/config.json": "is a file for secrets",
}
FINE = (
    "usr/bin/python3", "usr/bin/as_needed", "usr/bin/captoinfo", "usr/share/doc/gcc", "usr/lib/gcc/x86_64/libgcc.so",
    "var/lib/apt/lists/lock", "var/cache/apt/archives/lock", "var/cache/fontconfig/a.cache-7", "vmz/lib/config.json",
)  # fmt: skip


def add(root: Path, name: str, text: str = "") -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", LEFT)
def test_the_scan_finds_what_a_build_left(tmp_path: Path, name: str) -> None:
    path = add(tmp_path, name)
    found = scan(tmp_path)
    assert found.returncode == 1
    assert f"{path}: {LEFT[name]}" in found.stdout


def test_the_scan_finds_a_compiler_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "cc").symlink_to("/etc/alternatives/cc")
    assert "bin/cc: compiles or fetches" in scan(tmp_path).stdout


@pytest.mark.parametrize("kind", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_the_scan_finds_private_keys(tmp_path: Path, kind: str) -> None:
    add(tmp_path, "etc/server.txt", "a certificate\n" + KEY.replace("RSA ", kind))
    found = scan(tmp_path)
    assert found.returncode == 1 and "etc/server.txt: holds a private key" in found.stdout


def test_the_scan_lets_pass_what_is_none_of_these(tmp_path: Path) -> None:
    for name in FINE:
        add(tmp_path, name)
    add(tmp_path, "etc/ca.pem", KEY.replace("RSA PRIVATE KEY", "CERTIFICATE"))
    add(tmp_path, "vmz/lib/text.py", f'"""Text that speaks of {KEY.splitlines()[0]} in a line."""\n')
    found = scan(tmp_path)
    assert (found.returncode, len(found.stdout.splitlines())) == (0, 1), found.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_the_scan_says_what_it_did_not_see(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    assert "closed: not looked into" in scan(tmp_path).stdout


def health(engine: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "VMZ_ENGINE": engine, "PYTHONPATH": str(ROOT / "lib")}
    command = [sys.executable, str(ROOT / "docker" / "healthcheck.py")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.long
def test_the_health_check_on_pytorch() -> None:
    checked = health("pytorch")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("healthy: a video from an LMDB through pytorch, torch ")


@needs_operators
def test_the_health_check_on_caffe2() -> None:
    checked = health("caffe2")
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("healthy: a video from an LMDB through caffe2, torch 1.10.2")


def test_the_health_check_fails_where_the_engine_is_not_there() -> None:
    assert health("theano").returncode == 1
