"""The page of the server: a video goes in, its prediction comes out."""

from __future__ import annotations

import ipaddress

from vmz import invocation
from vmz.report.page import render
from vmz.serve.config import ServeConfig
from vmz.serve.worker import Loaded
from vmz.video.frames.containers import READ_FORMATS

RECORDED_SECONDS = 15  # at most, of the camera


def page(config: ServeConfig, model: Loaded) -> str:
    """The HTML, the same for everyone."""
    return render(
        "serve.html",
        title="Predict a video",
        kind="VMZ",
        model=model,
        labels=None if model.labels is None else list(enumerate(model.labels)),
        device=f"{model.environment['engine']}, {model.environment['device']}",
        stays_here=stays_here(config.host),
        max_mb=config.max_upload_mb,
        max_bytes=config.most_bytes,
        formats=READ_FORMATS,
        recorded_seconds=RECORDED_SECONDS,
        command=invocation.current().command if stays_here(config.host) else None,
        settings=config.shown(),
        environment=model.environment,
    )


def stays_here(host: str) -> bool:
    """Whether this machine alone reaches an address, so that a video does not leave it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
