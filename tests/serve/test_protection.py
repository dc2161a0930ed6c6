"""Hostile requests: pages of other sites, names that mean this machine by a trick, paths, damaged HTTP and forms."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Optional
from urllib.parse import quote, urlsplit

import pytest

from tests.serve.running import Running, ask, form, server, weights
from tests.support.optionals import present
from tests.support.small_videos import video
from vmz.serve.protection import HEADERS, check, names_of
from vmz.serve.refusals import Refused
from vmz.serve.uploads import shown_name

OURS = "127.0.0.1:8000"
NAMES = names_of("127.0.0.1", ["box.example.org"])


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(weights(tmp_path_factory.mktemp("weights")), max_upload_mb=1, attention=0) as found:
        yield found


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return video(tmp_path_factory.mktemp("films") / "film.mp4", 1)


def refused(method: str, **headers: Optional[str]) -> Optional[int]:
    """The status that `check` refuses a request with, None where it may pass. The default Host is ours."""
    given = {"host": OURS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    try:
        check(method, {name: value for name, value in given.items() if value is not None}, NAMES)
    except Refused as error:
        return error.status
    return None


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST:8000", "localhost.:1", "[::1]:8000", "192.168.1.7:80", "box.example.org",
     socket.gethostname()],
)  # fmt: skip
def test_our_own_names_and_addresses_may_be_asked_for(host: str) -> None:
    assert refused("GET", host=host) is None and refused("POST", host=host, origin=f"http://{host}") is None


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example", "evillocalhost", "", None,
     "127.0.0.1@evil.example", "127.0.0.1:8000@evil.example", "evil.example#127.0.0.1", "[::1].evil.example", "[::1",
     "127.0.0.1:80:80", "127.0.0.1 evil", "a/b", "user@localhost", "localhost:port", "x" * 5000, "0x7f.evil", "\xe9"],
)  # fmt: skip
def test_another_name_that_means_this_machine_is_refused(host: Optional[str]) -> None:
    for method in ("GET", "POST"):
        assert refused(method, host=host) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:8001"},  # another server of this machine
        {"origin": "http://localhost:8000"},
        {"origin": f"http://{OURS}.evil.example"},
        {"origin": f"http://{OURS}@evil.example"},
        {"origin": f"ftp://{OURS}"},
        {"origin": "http://[::1"},
        {"origin": f"file://{OURS}"},
        {"referer": "http://evil.example/127.0.0.1:8000/"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": f"http://{OURS}", "sec_fetch_site": "cross-site"},
    ],
)
def test_pages_of_other_sites_cannot_send(headers: dict[str, str]) -> None:
    expected = None if headers == {"origin": ""} else 403  # no page sends an empty one
    assert refused("POST", **headers) == expected and refused("PUT", **headers) == expected
    assert refused("GET", **headers) is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": f"http://{OURS}"}, {"origin": f"https://{OURS}"}, {"referer": f"http://{OURS}/"},
     {"origin": f"http://{OURS}", "sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"}],
)  # fmt: skip
def test_our_page_and_programs_can_send(headers: dict[str, str]) -> None:
    assert refused("POST", **headers) is None


def test_a_refused_page_gets_nothing(running: Running, film: bytes) -> None:
    for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        status, found = ask(f"{running.address}api/predict", film, headers)
        assert status == 403 and list(found) == ["error"]
    assert ask(running.address, headers={"Host": "evil.example"})[0] == 403
    assert ask(f"{running.address}api/predict", film, {"Origin": running.address.rstrip("/")})[0] == 200


def raw(running: Running, request: bytes) -> bytes:
    """The answer to bytes, which may be no HTTP."""
    where = urlsplit(running.address)
    with socket.create_connection((where.hostname, present(where.port)), timeout=120) as client:
        client.sendall(request)
        client.shutdown(socket.SHUT_WR)
        found = b""
        while part := client.recv(65536):
            found += part
    return found


PATHS = [
    "/../../../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd",
    "/style.css/../../x", "/api/../../secret", "/static/..\\..\\x", "/.git/config", "/vmz-serve", "/%00",
    "/style.css%00.js", "/api/predict/x", "http://evil.example/", "/" + "a" * 8000,
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path[:20])
def test_paths_lead_nowhere(path: str, running: Running) -> None:
    answer = raw(running, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert answer.split()[1] in (b"404", b"400") and b"root:" not in answer


@pytest.mark.parametrize(
    "request_",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n",
        b"POST /api/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ],
)
def test_damaged_requests_do_no_harm(request_: bytes, running: Running) -> None:
    answer = raw(running, request_)
    assert b"Traceback" not in answer and b"101 Switching" not in answer
    assert ask(f"{running.address}health") == (200, {"status": "ok", "uploading": 0, "waiting": 0, "running": 0})


HOW = "curl -F video=@video.mp4"
FIELD = b'--edge\r\nContent-Disposition: form-data; name="%s"\r\n\r\nvalue\r\n'


def whole(name: str = "a.mp4", more: bytes = b"") -> bytes:
    return form(b"x" * 100, name, more)[0]


@pytest.mark.parametrize(
    ("kind", "body", "sentence"),
    [
        ("multipart/form-data", whole(), "the form has no boundary in its Content-Type"),
        ("multipart/form-data; boundary=", whole(), "the form has no boundary"),
        (f"multipart/form-data; boundary={'x' * 500}", whole(), "the form has no boundary"),
        ("multipart/form-data; boundary=edge", b"", "the upload is not complete"),
        ("multipart/form-data; boundary=edge", b"no form at all", "the form cannot be read"),
        ("multipart/form-data; boundary=other", whole(), "the form cannot be read"),
        ("multipart/form-data; boundary=edge", whole()[:-8], "the upload is not complete"),
        ("multipart/form-data; boundary=edge", whole(more=FIELD % b"top_k"), "the form has a field 'top_k', which"),
        ("multipart/form-data; boundary=edge", FIELD % b"<b>\x1b" + b"--edge--\r\n", "which is no file"),
        ("multipart/form-data; boundary=edge", whole(more=whole()[:-10]), "the form holds more than one file"),
        ("multipart/form-data; boundary=edge", form(b"")[0], "the request holds no video: its body is empty"),
        ("multipart/form-data; boundary=edge", whole("n" * 20_000), "the form cannot be read"),
        ("multipart/form-data; boundary=edge", b"--edge\r\n" + b"X: y\r\n" * 5000 + b"\r\n", "the form cannot be read"),
        ("multipart/form-data; boundary=edge", b"--edge\r\n\r\nx\r\n--edge--\r\n", "which is no file"),
        ("application/octet-stream", b"", "the request holds no video: its body is empty"),
    ],
)  # fmt: skip
def test_damaged_forms_are_a_sentence(kind: str, body: bytes, sentence: str, running: Running) -> None:
    status, found = ask(f"{running.address}api/predict", body, {"Content-Type": kind})
    assert status == 400 and sentence in found["error"] and len(found["error"]) < 400
    assert "\x1b" not in found["error"]


def test_a_form_of_many_small_parts_is_bounded(running: Running) -> None:
    body = (b'--edge\r\nContent-Disposition: form-data; name="a"; filename=""\r\n\r\n\r\n') * 10_000
    headers = {"Content-Type": "multipart/form-data; boundary=edge"}
    status, found = ask(f"{running.address}api/predict", body, headers)
    assert status == 400 and "the form holds more than one file" in found["error"]


def test_other_wrong_requests(running: Running, film: bytes) -> None:
    post = f"{running.address}api/predict"
    assert ask(post, film, {"Content-Encoding": "gzip"})[0] == 415
    for ticket in ("short", "a" * 65, "../../../etc", "with space", "%0d%0aSet-Cookie:x=y"):
        assert ask(f"{post}?ticket={quote(ticket)}", film)[0] == 400
    status, found = ask(post)
    assert status == 405 and "POST" in found["error"]
    assert ask(running.address, b"x")[0] == 405 and ask(f"{running.address}nothing", b"x")[0] == 404
    assert ask(f"{running.address}api/queue")[1]["state"] == "unknown"


NAMES_OF_FILES = {
    "../../../etc/passwd": "passwd",
    "..\\..\\boot.ini": "boot.ini",
    "/etc/": "video",
    "": "video",
    "..": "..",
    "<script>alert(1)</script>.mp4": "script>.mp4",
    "a\r\nSet-Cookie: x=y": "a\\x0d\\x0aSet-Cookie: x=y",
    "\u202egpj.mp4": "[U+202E]gpj.mp4",
    "b" * 300: "b" * 100 + "... (300 characters)",
    "na\u00efve \u30d3\u30c7\u30aa.mp4": "na\u00efve \u30d3\u30c7\u30aa.mp4",
    "nul\0.mp4": "nul\\x00.mp4",
    '"><img src=x onerror=alert(1)>': '"><img src=x onerror=alert(1)>',
}


@pytest.mark.parametrize(("name", "shown"), NAMES_OF_FILES.items(), ids=[str(n) for n in range(len(NAMES_OF_FILES))])
def test_names_of_files_are_shown_and_never_used(
    name: str, shown: str, running: Running, film: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown_name(name) == shown
    before = set(os.listdir(tmp_path))
    monkeypatch.chdir(tmp_path)
    status, found = ask(f"{running.address}api/predict?page=1&name={quote(name)}", film)
    assert status == 200 and found["video"] == shown and set(os.listdir(tmp_path)) == before
    assert "<script" not in found["html"] and "<img src=x" not in found["html"]


def test_a_name_in_a_form(running: Running, film: bytes) -> None:
    body, headers = form(film, "../na\u00efve;.mp4")
    assert ask(f"{running.address}api/predict", body, headers)[1]["video"] == "na\u00efve;.mp4"


def test_every_answer_says_what_browsers_may_do(running: Running) -> None:
    for path in ("", "style.css", "script.js", "api/model", "nothing"):
        answer = raw(running, f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = answer.partition(b"\r\n\r\n")[0].decode().lower()
        for name, value in HEADERS.items():
            assert f"{name}: {value}".lower() in head
        assert "access-control" not in head and "server:" not in head
    page = ask(running.address)[1]
    assert "http://" not in page and "https://" not in page and "<script>" not in page and " style=" not in page
