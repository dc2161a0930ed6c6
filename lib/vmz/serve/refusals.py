"""What a request is refused with: a status of HTTP and one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

from vmz.errors import VmzError

STOPPING = "the server is stopping; try again when it runs"


class Refused(VmzError):
    """A request that is not served. status: of HTTP; headers: of the answer."""

    def __init__(self, status: int, sentence: str, headers: Optional[Mapping[str, str]] = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})


def too_large(most_mb: int) -> Refused:
    return Refused(
        413,
        f"the video is larger than {most_mb} MB, the most that this server takes (--max_upload_mb={most_mb}); "
        "send a shorter or smaller one",
    )
