"""A file opened by FFmpeg: its container and its streams, of pictures and of sound."""

from __future__ import annotations

import ctypes
import errno
import io
import os
from typing import Any, Union

import av

from vmz.files import open_regular
from vmz.video.faults import DecodingError, shown_path
from vmz.video.frames import containers
from vmz.video.frames.watch import Watch

Source = Union[bytes, str]  # the bytes of a file, or its path

MAX_PIXELS = 1 << 26  # of a picture: twice an 8K frame. Damaged headers, and files made to harm, state absurd sizes.

# As container_options: with other ones PyAV 15 frees what it has not made where a container finds a stream late.
OPENING = {"format_whitelist": containers.FORMATS, "protocol_whitelist": containers.NO_PROTOCOL}


def _limit_allocations() -> None:
    """Have PyAV's FFmpeg refuse memory for pictures of more than MAX_PIXELS.

    It decodes a picture to find its size while a file is opened, where PyAV takes no limit; then this is one.
    """
    try:
        limit = ctypes.CDLL(av._core.__file__).av_max_alloc  # found in the libraries that this one is linked with
    except (OSError, AttributeError):
        return  # then it is the decoder's limit alone, which counts after that first picture
    limit.argtypes, limit.restype = [ctypes.c_size_t], None
    limit(8 * MAX_PIXELS + (1 << 20))  # 16 bits of R, G, B, A, and what is laid around them


_limit_allocations()


class OpenedFile:
    """A plain container with its pictures in it: `container` (av.container.InputContainer), and its bytes, `file`.

    One thread at a time. Raises DecodingError for what cannot be opened, and, where its watch is over, from whatever
    reads it.
    """

    def __init__(self, source: Source, watch: Watch) -> None:
        self.watch = watch
        watch.begin()
        self.container: Any = None
        self.file = _WatchedFile(_open_file(source), watch)
        try:
            self.container = self._open()
        except DecodingError:
            self.close()
            raise

    def _open(self) -> Any:
        why = containers.refusal(self.file.read(containers.HEAD_BYTES))
        self.file.seek(0)
        if why is not None:
            raise DecodingError(f"not a video that can be opened ({why})")
        try:
            container: Any = av.open(self.file, mode="r", metadata_errors="ignore", container_options=OPENING)
        except (av.FFmpegError, OSError, ValueError, UnicodeError) as error:
            other = getattr(error, "errno", None) == errno.EINVAL  # what FFmpeg says of a format that is not listed
            why = containers.OTHER_FORMAT if other else reason_of(error)
            raise DecodingError(f"not a video that can be opened ({why})") from error
        if _has_references(container) and self.file.lies_elsewhere(containers.PICTURES):
            container.close()
            raise DecodingError(f"not a video that can be opened ({containers.ELSEWHERE})")
        return container

    @property
    def video(self) -> Any:
        """The first video stream, cover pictures passed over; None where there is none."""
        return next((stream for stream in self.container.streams.video if not _is_cover(stream)), None)

    @property
    def sound(self) -> Any:
        """The first audio stream; None where there is none."""
        return next(iter(self.container.streams.audio), None)

    @property
    def sound_lies_elsewhere(self) -> bool:
        """Whether the sound is that of another file: what FFmpeg gives for it then is not sound."""
        return _has_references(self.container) and self.file.lies_elsewhere(containers.SOUND)

    def watch_over(self) -> None:
        """Raise DecodingError where there was no progress for too long."""
        if self.watch.is_over():
            raise DecodingError(self.watch.reason)

    def close(self) -> None:
        if self.container is not None:
            self.container.close()
        self.file.close()


class _WatchedFile:
    """A file without its name: FFmpeg must tell the format from the content, as it does for bytes, not from `.txt`."""

    def __init__(self, plain: Any, watch: Watch) -> None:
        self.plain = plain
        self._watch = watch
        self.seek, self.tell, self.close = plain.seek, plain.tell, plain.close

    def read(self, count: int = -1) -> bytes:
        if self._watch.is_over():
            raise DecodingError(self._watch.reason)
        content: bytes = self.plain.read(count)
        self._watch.reached(self.plain.tell())
        return content

    def lies_elsewhere(self, handler: bytes) -> bool:
        position = self.tell()
        size = self.seek(0, os.SEEK_END)
        self.seek(position)
        return containers.lies_elsewhere(self.plain, size, handler)


def _has_references(container: Any) -> bool:
    """Whether it is an MP4 or MOV, whose tracks can be those of other files."""
    return bool(container.format.name.startswith("mov"))


def read_bytes(source: Source) -> bytes:
    """All of a file. DecodingError where it cannot be read."""
    if isinstance(source, bytes):
        return source
    file = _open_file(source)
    try:
        return bytes(file.read())
    finally:
        file.close()


def _is_cover(stream: Any) -> bool:
    """Whether it is a picture that belongs to the file, as music has one, not a stream of frames."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _open_file(source: Source) -> Any:
    if isinstance(source, bytes):
        if not source:
            raise DecodingError("it is empty")
        return io.BytesIO(source)
    try:
        return open_regular(source)
    except (OSError, ValueError) as error:  # ValueError: a path with a null byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DecodingError(f"cannot read the file ({reason}){_where_it_looked(source)}") from error


def _where_it_looked(path: str) -> str:
    if os.path.isabs(path) or "\0" in path:
        return ""
    return (
        f": looked for {shown_path(os.path.join(os.getcwd(), path))}; a relative path starts at the working directory, "
        "so run the tool in the folder that the list was made for"
    )


def reason_of(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error)
