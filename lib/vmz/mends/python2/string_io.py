"""What stands in for Python 2's modules StringIO and cStringIO: one class, for text and for bytes."""

from __future__ import annotations

import io
from typing import Any, Union


class StringIO:
    """An io.BytesIO when bytes come first, to its constructor or to write, and an io.StringIO otherwise."""

    def __init__(self, initial: Union[str, bytes, None] = None) -> None:
        self._stream: Any = None
        if initial:
            self._stream = io.BytesIO(initial) if not isinstance(initial, str) else io.StringIO(initial, newline="")

    def write(self, piece: Union[str, bytes]) -> int:
        if self._stream is None:
            self._stream = io.StringIO(newline="") if isinstance(piece, str) else io.BytesIO()
        return int(self._stream.write(piece))

    def writelines(self, pieces: Any) -> None:
        for piece in pieces:
            self.write(piece)

    def __getattr__(self, name: str) -> Any:
        if self._stream is None:
            return getattr(io.StringIO(), name)
        return getattr(self._stream, name)

    def __iter__(self) -> Any:
        return iter(self._stream or ())

    def __enter__(self) -> StringIO:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._stream is not None:
            self._stream.close()
