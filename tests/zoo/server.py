"""A server of this machine that gives a file as servers of the world do: well, in pieces, slowly, or another thing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable

Answer = Callable[[Any], None]


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """(address, requests as (path, Range) in their order). answers: {path: what to do with the request}."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Range", "")))
            answers.get(self.path.partition("?")[0], status(404))(self)
            self.close_connection = True

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def whole(
    content: bytes, kind: str = "application/octet-stream", ranges: bool = True, cut: int = 0, tag: str = '"a"'
) -> Answer:
    """The content, or the part asked for. cut: break off after so many bytes. ranges: parts can be asked for."""

    def answer(request: Any) -> None:
        asked = request.headers.get("Range")
        first = int(asked[6:].rstrip("-")) if asked and ranges and request.headers.get("If-Range") == tag else 0
        if first > len(content):
            return status(416)(request)
        request.send_response(206 if first else 200)
        if first:
            request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        request.send_header("Content-Type", kind)
        request.send_header("Content-Length", str(len(content) - first))
        if tag:
            request.send_header("ETag", tag)
        request.end_headers()
        request.wfile.write(content[first : first + cut] if cut else content[first:])

    return answer


def unsized(content: bytes, chunked: bool = False, cut: bool = False) -> Answer:
    """The content without its length: until the connection ends, or in chunks, of which a cut lacks the last."""

    def answer(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream")
        if chunked:
            request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for start in range(0, len(content), 100_000):
            piece = content[start : start + 100_000]
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        if chunked and not cut:
            request.wfile.write(b"0\r\n\r\n")

    return answer


def status(code: int) -> Answer:
    def answer(request: Any) -> None:
        request.send_response(code)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def part_from(first: int) -> Answer:
    """206, with another part than the one that was asked for."""

    def answer(request: Any) -> None:
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {first}-{first + 2}/100")
        request.send_header("Content-Length", "3")
        request.end_headers()
        request.wfile.write(b"abc")

    return answer


def leading_to(address: str) -> Answer:
    def answer(request: Any) -> None:
        request.send_response(302)
        request.send_header("Location", address)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def dripping(content: bytes, pause: float, piece: int = 1) -> Answer:
    """`piece` bytes every `pause` seconds."""

    def answer(request: Any) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        for start in range(0, len(content), piece):
            try:
                request.wfile.write(content[start : start + piece])
                request.wfile.flush()
            except OSError:
                return
            time.sleep(pause)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One after the other, the last for all later requests."""
    left = list(answers)

    def answer(request: Any) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer
