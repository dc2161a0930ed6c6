"""Inputs that once broke a reader, or that the two readers took differently: accepted or refused, by both alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.campaign.mutations.record_mutations import (
    BYTES,
    DATA_TYPE,
    END_GROUP,
    GROUP,
    INT32S,
    STRINGS,
    VARINT,
    field,
    varint,
)
from tests.campaign.mutations.video_files import IMAGES, VIDEOS, good
from tests.campaign.readings import INPUT, check_sound
from tests.campaign.surfaces import ENGINES
from tests.campaign.test_campaign import rows_of
from vmz.video.database.records import Record, encode_record

GOOD = encode_record(Record(b"", good(VIDEOS[0]), (1,), 2, 7))
HUFFYUV = good(next(kind for kind in VIDEOS if kind.codec == "huffyuv"))
JPEG = good(next(kind for kind in IMAGES if kind.codec == "mjpeg"))


def of_width(avi: bytes, width: int) -> bytes:
    """An AVI whose stream says that it is so wide."""
    at = avi.index(b"strf") + 12
    return avi[:at] + width.to_bytes(4, "little") + avi[at + 4 :]


ACCEPTED = {
    "a number of another wire type": ("record", GOOD + field(99, BYTES, b"\xff")),
    "a label of 64 bits": (
        "record",
        field(1, BYTES, field(DATA_TYPE, VARINT, varint(4)) + field(STRINGS, BYTES, good(VIDEOS[0])))
        + field(1, BYTES, field(DATA_TYPE, VARINT, varint(2)) + field(INT32S, VARINT, varint(2**32 + 3))),
    ),
}
REFUSED = {
    "the end of a group": ("record", GOOD + field(1, END_GROUP, b"")),  # one protobuf went on, with a warning
    "a group": ("record", GOOD + field(8, GROUP, b"") + field(8, END_GROUP, b"")),
    "a field beyond any": ("record", GOOD + field(2**29, VARINT, b"\1")),
    "a label cut off": ("record", GOOD + field(1, BYTES, field(INT32S, BYTES, b"\x80"))),
    "a path of invisible letters": ("record", encode_record(Record(b"", "\u202e".encode(), (1,), 2, 7))),
    "three bytes that are no text": ("image", b"\xff\xd8\xff"),
    "a JPEG without pictures": ("image", JPEG[:2] + b"\xff\xd9" + bytes(200)),
    "too wide": ("container", of_width(HUFFYUV, 1 << 30)),
}


@pytest.mark.long
@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
def test_both_readers_take_it_alike(name: str, tmp_path: Path) -> None:
    surface, content = {**ACCEPTED, **REFUSED}[name]
    (tmp_path / "input").write_bytes(content)
    rows = rows_of(f"--surface={surface}", "--replay", str(tmp_path / "input"))[:-1]
    outcome = ["1", "0", "0"] if name in ACCEPTED else ["0", "1", "0"]
    assert [row[0] for row in rows] == [f"{surface} {engine}" for engine in ENGINES]
    assert [row[2:5] for row in rows] == [outcome] * len(rows)


def test_sound_of_another_video_is_seen() -> None:
    keys, tone, own = np.repeat(["00000", INPUT, "00002"], 2), np.arange(8.0).reshape(2, 4), np.ones((2, 4))
    check_sound({"key": keys, "logmels": np.concatenate([tone, own, tone])}, {})
    check_sound({"key": keys, "logmels": np.concatenate([tone, 0 * own, tone])}, {INPUT: "it has no audio stream"})
    check_sound({"key": keys[[0, 1, 4, 5]], "logmels": np.concatenate([tone, tone])}, {})  # the input was refused
    for middle, last, silent in (
        (tone, tone, {}),
        (own, 2 * tone, {}),
        (own, tone, {INPUT: "it has no audio stream"}),
        (own, tone, {"00002": "it has no audio stream"}),
        (own * np.nan, tone, {}),
    ):
        with pytest.raises(AssertionError):
            check_sound({"key": keys, "logmels": np.concatenate([tone, middle, last])}, silent)
