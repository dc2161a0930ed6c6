"""The server: its socket, its loop, its end."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn

from vmz.errors import UsageError, VmzError
from vmz.files import private_folder
from vmz.serve.app import application
from vmz.serve.config import ServeConfig
from vmz.serve.jobs import Jobs
from vmz.serve.worker import Loaded, Worker

MOST_CONNECTIONS = 200
STOP_SECONDS = 5  # for answers that are under way, and for the network to come back


@dataclass(frozen=True)
class Running:
    """A server that listens. address: of the page, http://...; stop: ends it, from any thread."""

    address: str
    model: Loaded
    stop: Callable[[], None]


class _Server(uvicorn.Server):
    """Answers all that wait as soon as it is to end, by a signal or by `stop`."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs) -> None:
        super().__init__(config)
        self._jobs = jobs

    async def shutdown(self, sockets: Any = None) -> None:
        self._jobs.stop()
        await super().shutdown(sockets)

    def stop(self) -> None:
        self.should_exit = True


def serve(config: ServeConfig, started: Callable[[Running], None], debug: bool = False) -> None:
    """Serve until a signal, which is raised again, or `Running.stop`.

    started: called when the model is there and the server listens. Raises UsageError for an address or a port that
    cannot be used, and for a wrong model.
    """
    with _listening(config.host, config.port) as listening, private_folder("vmz-serve") as folder:
        jobs = Jobs(config.queue)
        worker = Worker(config, jobs, debug)
        try:
            model = worker.loaded()
            server = _Server(_configuration(application(config, model, jobs, folder, debug)), jobs)
            started(Running(_address(config.host, listening), model, server.stop))
            server.run(sockets=[listening])
        finally:
            jobs.stop()
            worker.join(STOP_SECONDS)


def _configuration(app: Any) -> uvicorn.Config:
    log = logging.getLogger("uvicorn")
    log.addHandler(logging.NullHandler())  # what it says of bad requests is for nobody
    log.propagate = False
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _listening(host: str, port: int) -> socket.socket:
    """A socket with this address. Who comes before the model is there waits for it."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--host={host} is not an address or a name that this machine knows") from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)  # at once: until then Linux would give another server the same port
    except OSError as error:
        listening.close()
        raise _unusable(host, port, error) from error
    return listening


def _unusable(host: str, port: int, error: OSError) -> VmzError:
    if error.errno == errno.EADDRINUSE:
        return UsageError(
            f"port {port} of {host} is in use; choose another one with --port, or --port=0 for a free one"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return UsageError(f"--port={port}: this user may not listen at ports below 1024; choose a higher one")
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(f"--host={host} is not an address of this machine")
    return VmzError(f"cannot listen at port {port} of {host}: {error.strerror}")


def _address(host: str, listening: socket.socket) -> str:
    port = listening.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"
