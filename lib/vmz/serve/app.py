"""The HTTP API and the page: addresses, and what each answers."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from vmz.report.page import asset, percent
from vmz.serve.config import ServeConfig
from vmz.serve.jobs import Deadline, Job, Jobs
from vmz.serve.page import page
from vmz.serve.protection import Protection, internal, names_of, refusal
from vmz.serve.refusals import Refused
from vmz.serve.uploads import USUAL_NAME, Request, Upload
from vmz.serve.worker import Loaded, Scored

TICKET = re.compile(r"[A-Za-z0-9_-]{8,64}")
LOOK_SECONDS = 0.25  # from one look to the next whether the client of a job is still there
ADDRESSES = "/, /api/model, /api/predict, /api/queue and /health"


class Gone(Exception):
    """The client has closed its connection: there is nobody to answer."""


def application(config: ServeConfig, model: Loaded, jobs: Jobs, folder: str, debug: bool = False) -> Protection:
    """The ASGI application. folder: where videos lie while they are predicted."""
    service = _Service(config, model, jobs, folder)
    routes = [
        Route("/", service.page),
        Route("/style.css", service.asset("text/css", "style.css")),
        Route("/script.js", service.asset("text/javascript", "script.js", "serve.js")),
        Route("/health", service.health),
        Route("/api/model", service.model),
        Route("/api/queue", service.queue),
        Route("/api/predict", service.predict, methods=["POST"]),
    ]
    handlers = {HTTPException: _of_starlette, Refused: _refused, Exception: _internal}
    app = Starlette(routes=routes, exception_handlers=handlers)
    app.router.redirect_slashes = False
    return Protection(app, names_of(config.host, config.allow_host or ()), debug)


async def _refused(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error)


async def _internal(request: HttpRequest, error: Exception) -> Response:
    return refusal(internal(error))


async def _of_starlette(request: HttpRequest, error: Exception) -> Response:
    """What Starlette itself refuses."""
    assert isinstance(error, HTTPException)
    sentences = {
        404: f"there is nothing at this address; this server has {ADDRESSES}",
        405: f"this address does not take {request.method if request.method.isalpha() else 'this method'}; "
        "videos are sent to /api/predict with POST, the others are asked for with GET",
    }
    sentence = sentences.get(error.status_code, f"the request is refused: {error.detail}")
    return refusal(Refused(error.status_code, sentence, error.headers))


class _Service:
    """One method for each address."""

    def __init__(self, config: ServeConfig, model: Loaded, jobs: Jobs, folder: str) -> None:
        self._config, self._model, self._jobs, self._folder = config, model, jobs, folder
        self._page = page(config, model)

    async def page(self, request: HttpRequest) -> Response:
        return HTMLResponse(self._page)

    def asset(self, kind: str, *names: str) -> Callable[[HttpRequest], Awaitable[Response]]:
        text = "".join(asset(name) for name in names)

        async def answer(request: HttpRequest) -> Response:
            return Response(text, media_type=kind)

        return answer

    async def health(self, request: HttpRequest) -> Response:
        return JSONResponse({"status": "ok", **self._jobs.counts()})

    async def model(self, request: HttpRequest) -> Response:
        model, config = self._model, self._config
        return JSONResponse(
            {
                "name": model.name,
                "classes": None if model.labels is None else list(model.labels),
                "num_classes": model.classes,
                "clip_shape": list(model.clip_shape),
                "attention": bool(config.attention),
                "max_upload_bytes": config.most_bytes,
                "settings": config.shown(),
                "environment": dict(model.environment),
            }
        )

    async def queue(self, request: HttpRequest) -> Response:
        place = self._jobs.place(request.query_params.get("ticket", ""))
        return JSONResponse(place or {"state": "unknown", "ahead": 0})

    async def predict(self, request: HttpRequest) -> Response:
        """The prediction of the video in the body. ?page=1: also as the page shows it. ?ticket: for /api/queue."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Refused(415, "the body has a Content-Encoding; send the video as it is")
        ticket = request.query_params.get("ticket") or secrets.token_urlsafe(16)
        if not TICKET.fullmatch(ticket):
            raise Refused(400, "the ticket must be 8 to 64 letters, digits, - and _")
        limit = self._config.request_timeout
        job = self._jobs.enter(ticket, Deadline(self._config.video_timeout, limit))
        try:
            with Upload(self._folder, self._config.max_upload_mb) as upload:
                try:
                    await asyncio.wait_for(upload.receive(_described(request), request.stream()), limit)
                except asyncio.TimeoutError:
                    raise Refused(
                        408, f"the video did not arrive within {limit} seconds (--request_timeout={limit}); try again"
                    ) from None
                self._jobs.submit(job, upload.path, upload.name)
                try:
                    scored = await _outcome(job, request)
                except Refused as error:
                    print(f"error: {error}", flush=True)
                    raise
                self._say(upload, scored)
                return JSONResponse(await asyncio.to_thread(_answer, scored, request.query_params.get("page") == "1"))
        except (ClientDisconnect, Gone):
            return Response(status_code=400)  # nobody reads it
        finally:
            self._jobs.leave(job)

    def _say(self, upload: Upload, scored: Scored) -> None:
        top, seconds = scored.prediction.top[0], sum(scored.prediction.seconds.values())
        size = f"{upload.bytes / 1e6:.1f} MB"
        print(f"{upload.name} ({size}): {top}, {percent(top.score)}, {seconds:.1f} s", flush=True)


def _answer(scored: Scored, for_page: bool) -> dict[str, Any]:
    found = scored.to_json()
    return {**found, "html": scored.to_html()} if for_page else found


def _described(request: HttpRequest) -> Request:
    length = request.headers.get("content-length")
    return Request(
        content_type=request.headers.get("content-type", ""),
        content_length=int(length) if length is not None and length.isdigit() else None,
        name=request.query_params.get("name", USUAL_NAME),
    )


async def _outcome(job: Job, request: HttpRequest) -> Scored:
    """Wait for the answer. Raises Refused, and Gone where the client does not wait for it."""
    while True:
        await asyncio.wait({job.result}, timeout=LOOK_SECONDS)
        if job.result.done():
            scored: Scored = job.result.result()
            return scored
        if job.watch.is_late:  # in the network, where nothing looks at the clock
            raise job.watch.late
        if await request.is_disconnected():
            raise Gone
