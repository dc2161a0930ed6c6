"""The body of a request, written to a file of our own naming while it is counted: nothing too large is ever kept."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Optional

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from vmz.serve.refusals import Refused, too_large
from vmz.text import cut, printable

LONGEST_NAME = 100  # characters that are shown of a file's name
ENVELOPE = 1 << 16  # bytes that a form may have besides its file
USUAL_NAME = "video"
HOW = (
    "send a video as the body, or one file in a form, as in: curl -F video=@video.mp4 http://127.0.0.1:8000/api/predict"
)
INCOMPLETE = "the upload is not complete: the end of the form is missing; send it again"


def shown_name(name: str) -> str:
    """What to call a video that is named so by whoever sent it: the last part of a path, visible, not endless."""
    last = re.split(r"[\\/]", name.strip())[-1]
    return cut(printable(last), LONGEST_NAME) or USUAL_NAME


@dataclass(frozen=True)
class Request:
    """What a body is to be read by: its Content-Type, its Content-Length, and how the client calls the video."""

    content_type: str
    content_length: Optional[int]
    name: str


class Upload:
    """A file in `folder`, which is there within the block. path: where; name: how its sender calls it."""

    def __init__(self, folder: str, most_mb: int) -> None:
        self.name, self.bytes = USUAL_NAME, 0
        self._most_mb, self._most = most_mb, most_mb * 1_000_000
        descriptor, self.path = tempfile.mkstemp(dir=folder)
        self._stream: IO[bytes] = os.fdopen(descriptor, "wb")

    def write(self, part: bytes) -> None:
        """Raises Refused for one byte more than is allowed, and where the disk is full."""
        self.bytes += len(part)
        if self.bytes > self._most:
            raise too_large(self._most_mb)
        try:
            self._stream.write(part)
        except OSError as error:
            raise _no_room(error) from error

    async def receive(self, request: Request, body: AsyncIterator[bytes]) -> None:
        """Write the video that is in the body. Raises Refused for what holds none, one too large, or more than one."""
        form = _boundary(request.content_type)
        around = 0 if form is None else ENVELOPE
        if request.content_length is not None and request.content_length > self._most + around:
            raise too_large(self._most_mb)
        if form is None:
            self.name = shown_name(request.name)
            async for part in body:
                self.write(part)
        else:
            await self._receive_form(form, body)
        try:
            self._stream.close()
        except OSError as error:
            raise _no_room(error) from error
        if not self.bytes:
            raise Refused(400, f"the request holds no video: its body is empty; {HOW}")

    async def _receive_form(self, boundary: str, body: AsyncIterator[bytes]) -> None:
        reader, read = _Form(boundary, self), 0
        async for part in body:
            read += len(part)
            if read > self._most + ENVELOPE:
                raise too_large(self._most_mb)
            reader.feed(part)
        if not reader.is_whole:
            raise Refused(400, INCOMPLETE)
        if not reader.files:
            raise Refused(400, f"the form holds no file; {HOW}")

    def __enter__(self) -> Upload:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        with suppress(OSError):  # a full disk has something left to write
            self._stream.close()
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def _no_room(error: OSError) -> Refused:
    return Refused(507, f"the server cannot keep the video while it is predicted: {error.strerror}")


def _boundary(content_type: str) -> Optional[str]:
    """That of a form; None of any other body. Raises Refused for a form without one."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        return None
    boundary = options.get(b"boundary", b"").decode("latin-1")
    if not 0 < len(boundary) <= 200:
        raise Refused(400, f"the form has no boundary in its Content-Type; {HOW}")
    return boundary


class _Form:
    """Reads multipart/form-data part by part; the content of its file goes to the upload, nothing else is taken."""

    LONGEST_HEADERS = 8192

    def __init__(self, boundary: str, upload: Upload) -> None:
        self._upload = upload
        self.files, self.is_whole = 0, False
        self._field, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._parser = MultipartParser(
            boundary.encode("latin-1"),
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._in_field,
                "on_header_value": self._in_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._in_content,
                "on_end": self._end,
            },
        )

    def feed(self, part: bytes) -> None:
        try:
            self._parser.write(part)
        except FormParserError as error:
            raise Refused(400, f"the form cannot be read: {cut(printable(str(error)))}; {HOW}") from error

    def _begin_part(self) -> None:
        self._headers.clear()
        self._header_bytes = 0

    def _in_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._field += data[start:end]

    def _in_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _count(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > self.LONGEST_HEADERS:
            raise Refused(400, f"the form cannot be read: a part has more than {self.LONGEST_HEADERS} bytes of headers")

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        if b"filename" not in options:
            field = cut(printable(options.get(b"name", b"")), LONGEST_NAME)
            raise Refused(400, f"the form has a field {field!r}, which is no file; {HOW}")
        self.files += 1
        if self.files > 1:
            raise Refused(400, "the form holds more than one file; send one video at a time")
        self._upload.name = shown_name(options[b"filename"].decode("utf-8", "backslashreplace"))

    def _in_content(self, data: bytes, start: int, end: int) -> None:
        self._upload.write(data[start:end])

    def _end(self) -> None:
        self.is_whole = True
