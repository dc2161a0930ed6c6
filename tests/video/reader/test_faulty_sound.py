"""Each entry of av/reader/faulty_inputs.json through ClipReader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

import numpy as np
import pytest

from tests.goldens import faulty_sound
from tests.goldens.faulty_sound import READ, REFUSED, WITH_BAD_RECORDS, WITHOUT_SOUND
from vmz.netdef.net_parts import AV_INPUT
from vmz.video.faults import BadVideo, WithoutSound
from vmz.video.reader import ClipReader
from vmz.video.sound.arguments import reader_arguments


class AsTheOperator:
    """A ClipReader that answers as the operator does."""

    def __init__(self, reader: ClipReader) -> None:
        self._reader = reader

    def run(self) -> dict[str, np.ndarray]:
        return {name: value for name, value in vars(self._reader.next_batch()).items() if value is not None}

    def skipped(self) -> faulty_sound.Named:
        return _named(self._reader.skipped)

    def without_sound(self) -> faulty_sound.Named:
        return _named(self._reader.without_sound)


def _named(faults: Iterable[Union[BadVideo, WithoutSound]]) -> faulty_sound.Named:
    return [(fault.key, fault.path or "", fault.reason) for fault in faults]


@contextmanager
def opened(database: Path, arguments: dict[str, Any]) -> Iterator[AsTheOperator]:
    with ClipReader(database, reader_arguments(arguments, AV_INPUT)) as reader:
        yield AsTheOperator(reader)


def test_every_entry_is_covered() -> None:
    faulty_sound.check_all_are_covered()


@pytest.mark.parametrize("name", READ)
def test_bad_records_are_skipped_and_missing_sound_is_counted(name: str, tmp_path: Path) -> None:
    faulty_sound.check_skips(name, tmp_path, opened)


@pytest.mark.parametrize("name", WITH_BAD_RECORDS)
def test_a_bad_record_is_an_error(name: str, tmp_path: Path) -> None:
    faulty_sound.check_stops(name, tmp_path, opened)


@pytest.mark.parametrize("name", WITHOUT_SOUND)
def test_missing_sound_is_an_error_or_skipped_where_that_is_wished(name: str, tmp_path: Path) -> None:
    faulty_sound.check_missing_sound(name, tmp_path, opened)


def test_the_start_frame_is_given_where_the_original_left_it_unset(tmp_path: Path) -> None:
    faulty_sound.check_start_frame(tmp_path, opened)


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_refused(name: str, tmp_path: Path) -> None:
    faulty_sound.check_refuses(name, tmp_path, opened)
