"""What stands before every request: who may ask, and what browsers are told about the answer.

A server of one's own machine is reached by every page that is open in a browser there. A page of another site may send
requests to it, and by DNS rebinding its own name may come to mean this machine. So the name that is asked for (Host)
must be one of ours, and what changes something must come from our own page (Origin), or from no browser.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Optional
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from vmz.serve.refusals import Refused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=()",
    "Cache-Control": "no-store",
}
# A client that still sends when it has its answer would lose the answer if the connection were closed under it.
DRAINED_SECONDS, DRAINED_QUIET_SECONDS, DRAINED_BYTES = 3.0, 1.0, 1 << 26


def names_of(host: str, allowed: Iterable[str]) -> frozenset[str]:
    """The names, in lower case, under which the server may be asked for. Addresses are not among them: none rebinds."""
    own = {"localhost", socket.gethostname(), host, *allowed}
    return frozenset(name.lower().rstrip(".") for name in own)


class Protection:
    """The application `app` behind the checks of this module. An error of it is one sentence, not a traceback."""

    def __init__(self, app: Any, names: frozenset[str], debug: bool = False) -> None:
        self._app, self._names, self._debug = app, names, debug

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = _Answer(receive, send)
        try:
            check(str(scope["method"]), Headers(scope=scope), self._names)
            await self._app(scope, answer.receive, answer.send)
        except Refused as error:
            await refusal(error)(scope, answer.receive, answer.send)
        except Exception as error:
            if self._debug:
                traceback.print_exc()
            else:
                print(f"internal error: {type(error).__name__}; rerun with --debug", file=sys.stderr, flush=True)
            if not answer.has_begun:
                await refusal(internal(error))(scope, answer.receive, answer.send)


def refusal(error: Refused) -> JSONResponse:
    """The answer to a request that is not served: {"error": the sentence}."""
    return JSONResponse({"error": str(error)}, error.status, error.headers)


def internal(error: Exception) -> Refused:
    """What to say of a fault of ours."""
    return Refused(500, f"internal error: {type(error).__name__}. This is a bug in VMZ; please report it")


def check(method: str, headers: Mapping[str, str], names: frozenset[str]) -> None:
    """Raises Refused for a request that no page of ours, and no program of this machine's user, sends.

    headers: by their names in lower case.
    """
    host = headers.get("host", "")
    found = HOST.fullmatch(host)
    if found is None or not _is_ours(found[1] or found[2], names):
        raise Refused(
            403,
            "the request asks for a host that this server does not have; open the address that it printed when it "
            "started, or name the host with --allow_host",
        )
    if method in ("GET", "HEAD"):
        return
    source = headers.get("origin") or headers.get("referer")
    if (source is not None and _host_of(source) != host.lower()) or headers.get("sec-fetch-site", "none") not in (
        "none",
        "same-origin",
    ):
        raise Refused(403, "the request comes from a page of another site; only this server's own page may send videos")


def _is_ours(name: str, names: frozenset[str]) -> bool:
    try:
        ipaddress.ip_address(name)
        return True
    except ValueError:
        return name.lower().rstrip(".") in names


def _host_of(source: str) -> Optional[str]:
    try:
        found = urlsplit(source)
    except ValueError:
        return None
    return found.netloc.lower() if found.scheme in ("http", "https") else None


class _Answer:
    """The two ends of a request: adds HEADERS, and lets a client that still sends have its answer."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._is_received = False
        self.has_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_received = message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(raw=message["headers"])
            headers.update(HEADERS)
            if message["status"] >= 400 and not self._is_received:
                headers["Connection"] = "close"
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)

    async def _drain(self) -> None:
        """Take, and forget, what the client still sends; not for long."""
        end, left = time.monotonic() + DRAINED_SECONDS, DRAINED_BYTES
        while not self._is_received and left > 0 and time.monotonic() < end:
            try:
                message = await asyncio.wait_for(self.receive(), DRAINED_QUIET_SECONDS)
            except asyncio.TimeoutError:
                return
            left -= len(message.get("body", b""))
