"""Videos and images gone wrong: bytes `number` of a seed, as in drawing.py."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from pathlib import Path

from tests.campaign.mutations.drawing import chance_of, mutated_bytes
from tests.campaign.mutations.structures import restructured
from tests.campaign.mutations.video_files import IMAGES, VIDEOS, good
from tests.support import hostile_videos, small_videos, sound_videos

PLACES = ("http://127.0.0.1:9", 9, Path("/etc/hostname"))  # that a playlist names: nobody listens there


def playlists() -> list[bytes]:
    """Every file of hostile_videos that makes FFmpeg open something else."""
    return [hostile_videos.playlist(name, *PLACES) for name in hostile_videos.PLAYLISTS]


def containers(seed: int, number: int) -> bytes:
    """Videos, as a record holds them."""
    chance = chance_of(seed, number)
    way = chance.random()
    if way < 0.04:
        return chance.choice(playlists())
    if way < 0.08:
        mp4 = good(VIDEOS[0])
        return chance.choice(
            (
                hostile_videos.with_reference(mp4, chance.choice((b"url ", b"alis", b"urn ", b"rsrc"))),
                small_videos.rotated(mp4),
                small_videos.silent_sound(),
                good(chance.choice(IMAGES)),
                mp4 + good(chance.choice(VIDEOS)),
                chance.choice(playlists()) + mp4,
            )
        )
    kind = chance.choice(VIDEOS)
    content = good(kind)
    if way < 0.12:
        return content
    if way < 0.18:
        return _spliced(content, good(chance.choice(VIDEOS)), chance)
    return _changed(content, kind.parser, chance)


_BOMBS: Sequence[tuple[int, int]] = ((8190, 8190), (8200, 8200), (65536, 1), (1, 1))
_FIRST_BOMB = 40  # they take seconds: the short form of the campaign ends before


@functools.cache
def _bomb(width: int, height: int) -> bytes:
    return hostile_videos.png(width, height)


def images(seed: int, number: int) -> bytes:
    """Images, as a record holds them."""
    if 0 <= number - _FIRST_BOMB < len(_BOMBS):
        return _bomb(*_BOMBS[number - _FIRST_BOMB])
    chance = chance_of(seed, number)
    kind = chance.choice(IMAGES)
    content = good(kind)
    way = chance.random()
    if way < 0.05:
        return good(chance.choice(VIDEOS))
    return content if way < 0.12 else _changed(content, kind.parser, chance)


_PARSERS = {
    "mp4": "boxes", "mov": "boxes", "matroska": "elements", "avi": "chunks", "mpegts": "packets", "mpeg": "words",
}  # fmt: skip


@functools.cache
def _with_sound(name: str) -> bytes:
    return sound_videos.KINDS[name].file()


def sounding(seed: int, number: int) -> bytes:
    """Videos with sound, as a record holds them."""
    chance = chance_of(seed, number)
    names = sorted(sound_videos.KINDS)
    name, way = chance.choice(names), chance.random()
    content = _with_sound(name)
    if way < 0.1:
        return content
    if way < 0.2:
        return _spliced(content, _with_sound(chance.choice(names)), chance)
    if way < 0.3:
        return content[: chance.randrange(len(content))]
    return _changed(content, _PARSERS[sound_videos.KINDS[name].container], chance)


def _spliced(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """The beginning of one and the end of another."""
    return content[: chance.randrange(len(content))] + other[chance.randrange(len(other)) :]


def _changed(content: bytes, parser: str, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        content = mutated_bytes(content, chance, 2) if chance.random() < 0.15 else restructured(content, parser, chance)
    return content[: 1 << 20]
