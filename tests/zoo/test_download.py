"""Files from a real server on this machine, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.zoo.server import Answer, dripping, in_turn, leading_to, part_from, serving, status, unsized, whole
from vmz.errors import UsageError, VmzError
from vmz.zoo.download import Patience, direct, download

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
QUICK = Patience(attempts=3, seconds=0.5, slowest=1000, pause=0.01)
PAGE = b"\n<!-- hello --><!DOCTYPE html><html></html>"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_whole_and_is_counted(tmp_path: Path) -> None:
    counts: list[int] = []
    begun: list[tuple[object, int]] = []

    def started(total: object, before: int) -> object:
        begun.append((total, before))
        return counts.append

    with serving({"/a": whole(CONTENT)}) as (address, _):
        received = download([f"{address}/a"], tmp_path / "a", SHA256, QUICK, started)  # type: ignore[arg-type]
    assert (tmp_path / "a").read_bytes() == CONTENT and files(tmp_path) == ["a"]
    assert (received.bytes, received.sha256, received.source) == (len(CONTENT), SHA256, f"{address}/a")
    assert begun == [(len(CONTENT), 0)] and sum(counts) == len(CONTENT)


@pytest.mark.parametrize(("ranges", "tag"), [(True, '"a"'), (False, '"a"'), (True, "")])
def test_a_cut_is_resumed_or_begun_anew(tmp_path: Path, ranges: bool, tag: str) -> None:
    cut = whole(CONTENT, ranges=ranges, cut=300_000, tag=tag)
    with serving({"/a": in_turn(cut, cut, whole(CONTENT, ranges=ranges, tag=tag))}) as (address, seen):
        download([f"{address}/a"], tmp_path / "a", SHA256, QUICK)
    asked = [f"bytes={300_000 * n}-" if n and ranges and tag else "" for n in range(3)]
    if tag and not ranges:
        asked[1:] = ["bytes=300000-"] * 2  # it was asked, and gave all
    assert [found for _, found in seen] == asked
    assert (tmp_path / "a").read_bytes() == CONTENT and files(tmp_path) == ["a"]


def test_a_later_call_goes_on(tmp_path: Path) -> None:
    answers = {"/a": in_turn(whole(CONTENT, cut=300_000), status(503))}
    with serving(answers) as (address, seen):
        with pytest.raises(
            VmzError, match=r"a: .*/a: answers 503 Service Unavailable, 3 times; the downloaded part is kept"
        ):
            download([f"{address}/a"], tmp_path / "a", patience=QUICK)
        assert files(tmp_path) == [".a.part", ".a.part.json"]
        assert (tmp_path / ".a.part").stat().st_size == 300_000
        del seen[:]
        answers["/a"] = whole(CONTENT)
        download([f"{address}/a"], tmp_path / "a", SHA256, QUICK)
        assert seen == [("/a", "bytes=300000-")] and files(tmp_path) == ["a"]


def test_what_has_changed_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    other = CONTENT[::-1]
    answers = in_turn(whole(CONTENT, cut=300_000, tag='"old"'), whole(other, tag='"new"'))
    with serving({"/a": answers}) as (address, seen):
        download([f"{address}/a"], tmp_path / "a", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == other and [found for _, found in seen] == ["", "bytes=300000-"]


FAILURES: dict[str, tuple[Answer, str]] = {
    "404": (status(404), "answers 404 Not Found"),
    "410": (status(410), "answers 410 Gone"),
    "a page by its type": (whole(PAGE, kind="text/html; charset=utf-8"), "gives a web page, not the file"),
    "a page by its content": (whole(PAGE), "gives a web page, not the file"),
    "another file": (whole(CONTENT[:-1]), f"gives another file: its SHA-256 is [0-9a-f]{{64}}, not {SHA256}"),
    "a part, without a length": (unsized(CONTENT[:300_000]), f"gives another file: its SHA-256 is .*, not {SHA256}"),
    "a part in chunks": (unsized(CONTENT[:300_000], chunked=True, cut=True), r"broke off \(.*\), 3 times"),
    "nothing": (whole(b""), "gives an empty file"),
    "nothing, without a length": (unsized(b""), "gives an empty file"),
    "the end of another file": (part_from(7), "gives another part of the file than was asked for"),
    "one that stands still": (dripping(CONTENT, 2.0), "gave no byte for 0.5 s, 3 times"),
    "one that drips": (dripping(CONTENT, 0.05), "gives less than 1000 bytes a second, 3 times"),
    "one that always breaks off": (whole(CONTENT, cut=1000, tag=""), "broke off after 1000 of 1024000 bytes, 3 times"),
    "one that is too busy": (status(503), "answers 503 Service Unavailable, 3 times"),
    "a file of this machine": (leading_to("file:///etc/passwd"), "answers 302 .*is not allowed"),
    "a file of another kind": (leading_to("ftp://127.0.0.1/a"), r"cannot be reached \(unknown url type: ftp"),
    "a circle": (in_turn(leading_to("/a")), "answers 302"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_what_is_not_the_file_is_said_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    answer, says = FAILURES[what]
    with serving({"/a": answer}) as (address, _), pytest.raises(VmzError, match=rf"^cannot fetch a: http\S+/a: {says}"):
        download([f"{address}/a"], tmp_path / "a", SHA256, QUICK)
    assert not (tmp_path / "a").exists()
    assert files(tmp_path) == []


def test_the_end_of_a_file_must_be_known(tmp_path: Path) -> None:
    """Of a first download there is no SHA-256 yet: nothing else would tell a part from all of it."""
    says = "does not say how long the file is, so that a part of it would pass for all of it"
    with serving({"/a": unsized(CONTENT)}) as (address, _):
        with pytest.raises(VmzError, match=rf"^cannot fetch a: http\S+/a: {says}$"):
            download([f"{address}/a"], tmp_path / "a", patience=QUICK)
        assert files(tmp_path) == []
        download([f"{address}/a"], tmp_path / "a", SHA256, QUICK)
    with serving({"/b": unsized(CONTENT, chunked=True)}) as (address, _):
        download([f"{address}/b"], tmp_path / "b", patience=QUICK)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() == CONTENT and files(tmp_path) == ["a", "b"]


def test_a_first_download_refuses_what_is_nothing(tmp_path: Path) -> None:
    with serving({"/a": whole(b"")}) as (address, _), pytest.raises(VmzError, match=r"a: gives an empty file$"):
        download([f"{address}/a"], tmp_path / "a", patience=QUICK)
    assert files(tmp_path) == []


def test_the_next_address_is_asked(tmp_path: Path) -> None:
    with serving({"/page": whole(PAGE), "/b": leading_to("/c"), "/c": whole(CONTENT)}) as (address, seen):
        received = download([f"{address}/none", f"{address}/page", f"{address}/b"], tmp_path / "a", SHA256, QUICK)
    assert received.source == f"{address}/b" and [path for path, _ in seen] == ["/none", "/page", "/b", "/c"]
    assert files(tmp_path) == ["a"]


def test_no_server_and_no_host(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(VmzError) as found:
            download([f"http://127.0.0.1:{port}/a", "http://nowhere.invalid/a"], tmp_path / "a", patience=QUICK)
    assert "broke off (Connection refused), 3 times" in str(found.value) and "its host is not found" in str(found.value)
    assert files(tmp_path) == []


@pytest.mark.parametrize("source", ["file:///etc/passwd", "ftp://a/b", "/etc/passwd", "data:text/plain,a"])
def test_addresses_that_are_none(source: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not an http or https address"):
        download([source], tmp_path / "a")


def test_a_full_disk(tmp_path: Path) -> None:
    """By the limit of a file's size, which the system says in the same way."""
    code = (
        "import sys, resource, signal; from vmz.zoo.download import download; from vmz.errors import VmzError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "try: download([sys.argv[1]], sys.argv[2])\n"
        "except VmzError as error: print(error)"
    )
    assert resource.RLIMIT_FSIZE
    with serving({"/a": whole(CONTENT)}) as (address, _):
        command = [sys.executable, "-c", code, f"{address}/a", str(tmp_path / "a")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"cannot write {tmp_path / 'a'}: File too large; nothing of it is left\n"
    assert files(tmp_path) == []


def test_dropbox_links_lead_to_the_file() -> None:
    assert direct("https://www.dropbox.com/s/x/a%20b.pkl?dl=0") == "https://www.dropbox.com/s/x/a%20b.pkl?dl=1"
    assert direct("https://www.dropbox.com/s/x/a.pkl?rlkey=k&dl=0") == "https://www.dropbox.com/s/x/a.pkl?rlkey=k&dl=1"
    assert direct("https://notdropbox.com/a?dl=0") == "https://notdropbox.com/a?dl=0"
