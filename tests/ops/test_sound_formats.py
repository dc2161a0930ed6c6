"""The kinds of sound that videos have, through the C++ operator, as tests/support/sound_checks.py checks them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.ops.helpers.databases import record, write
from tests.ops.helpers.operator import needs_library, opened
from tests.support import sound_checks
from tests.support.sound_checks import Heard
from tests.support.sound_videos import KINDS
from vmz.netdef.net_parts import AV_INPUT

pytestmark = needs_library


def read(file: bytes, start: int = 0, **arguments: Any) -> Heard:
    given = {"batch_size": 1, "num_decode_threads": 1, "get_without_sound": 1, **arguments}
    with tempfile.TemporaryDirectory() as folder:
        database = write(Path(folder) / "db", [record(file, 0, start)])
        with opened(database, given, operator=AV_INPUT) as operator:
            batch = operator.run()
            reasons = [reason for _, _, reason in operator.without_sound()]
    return Heard(batch.get("data"), batch["logmels"][:, 0], "".join(reasons))


@pytest.mark.parametrize("name", KINDS)
def test_sound_of_every_kind(name: str) -> None:
    sound_checks.check_kind(name, read)


def test_channels_are_mixed_as_ffmpeg_does() -> None:
    sound_checks.check_loudness(read)


def test_timestamps_place_the_sound_when_asked() -> None:
    sound_checks.check_timestamps(read)


def test_what_lies_in_other_files_is_refused() -> None:
    sound_checks.check_other_files_are_refused(read)
