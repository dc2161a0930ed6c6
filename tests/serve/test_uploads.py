"""Bodies of requests: what is written of them, however they arrive, and that damaged ones are refused and not kept."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from tests.serve.running import form
from vmz.serve.refusals import Refused
from vmz.serve.uploads import Request, Upload

CONTENT = b"\r\n--edge\r\n\r\n--edg".replace(b"edge", b"edgy") + bytes(range(256)) * 20  # nearly its own end
KIND = "multipart/form-data; boundary=edge"


def received(folder: Path, kind: str, parts: Iterable[bytes], most_mb: int = 1) -> tuple[str, bytes]:
    """(name, content) of what is kept while a request is served. Raises Refused."""

    async def body() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    with Upload(str(folder), most_mb) as upload:
        asyncio.run(upload.receive(Request(kind, None, "given.mp4"), body()))
        return upload.name, Path(upload.path).read_bytes()


@pytest.mark.parametrize("step", [1, 2, 7, 64, 10_000])
def test_a_body_arrives_in_any_pieces(step: int, tmp_path: Path) -> None:
    whole = form(CONTENT)[0]
    pieces = [whole[first : first + step] for first in range(0, len(whole), step)]
    assert received(tmp_path, KIND, pieces) == ("film.mp4", CONTENT)
    pieces = [CONTENT[first : first + step] for first in range(0, len(CONTENT), step)]
    assert received(tmp_path, "video/mp4", pieces) == ("given.mp4", CONTENT)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", [KIND, "application/octet-stream"])
def test_no_byte_more_than_allowed_is_written(kind: str, tmp_path: Path) -> None:
    taken = []

    def endless() -> Iterable[bytes]:
        if kind == KIND:
            yield form(b"")[0][:-12]
        while True:
            sizes = [path.stat().st_size for path in tmp_path.iterdir()]
            taken.append(sum(sizes))
            yield bytes(100_000)

    with pytest.raises(Refused, match="larger than 1 MB") as error:
        received(tmp_path, kind, endless())
    assert error.value.status == 413 and len(taken) == 11 and max(taken) <= 1_000_000 and os.listdir(tmp_path) == []


def test_damaged_forms_are_read_or_refused(tmp_path: Path) -> None:
    whole, chance, refused = form(b"content" * 9)[0], random.Random(3), 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(damaged))
            what = chance.randrange(4)
            if what == 0:
                damaged[place] = chance.randrange(256)
            elif what == 1:
                del damaged[place : place + chance.randint(1, 30)]
            elif what == 2:
                damaged[place:place] = chance.choice([b"\r\n", b"--edge", b"--edge--", b"\0", b": ", b'"', b"\r\n\r\n"])
            else:
                damaged[place:place] = damaged[: chance.randrange(len(damaged))]
        try:
            name, content = received(tmp_path, KIND, [bytes(damaged)])
        except Refused as error:
            refused += 1
            assert error.status == 400 and len(str(error)) < 600 and str(error).isprintable()
        else:
            assert content and name
        assert os.listdir(tmp_path) == []
    assert 100 < refused < 400
