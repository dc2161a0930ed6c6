"""Each entry of av/reader/faulty_inputs.json through AVInput."""

import pytest

from tests.goldens import faulty_sound
from tests.goldens.faulty_sound import READ, REFUSED, SILENT, WITH_BAD_RECORDS, WITHOUT_SOUND, arguments, first
from tests.ops.helpers import operator
from tests.ops.helpers.databases import BASE, record, write
from tests.ops.helpers.operator import Operator, needs_library
from vmz.netdef.net_parts import AV_INPUT

pytestmark = needs_library


def opened(database, args):
    return operator.opened(database, {**args, "get_skipped": 1, "get_without_sound": 1}, operator=AV_INPUT)


def test_every_entry_is_covered():
    faulty_sound.check_all_are_covered()


@pytest.mark.parametrize("name", READ)
def test_bad_records_are_skipped_and_missing_sound_is_counted(name, tmp_path):
    faulty_sound.check_skips(name, tmp_path, opened)


@pytest.mark.parametrize("name", WITH_BAD_RECORDS)
def test_a_bad_record_is_an_error(name, tmp_path):
    faulty_sound.check_stops(name, tmp_path, opened)


@pytest.mark.parametrize("name", WITHOUT_SOUND)
def test_missing_sound_is_an_error_or_skipped_where_that_is_wished(name, tmp_path):
    faulty_sound.check_missing_sound(name, tmp_path, opened)


def test_the_video_that_ended_reading_is_among_the_skipped(tmp_path):
    database = write(tmp_path / "db", [first(), record(SILENT, 2)])
    asked = arguments("no_audio_after_good_rgb_and_logmels", on_missing_audio="stop")
    with opened(database, asked) as reader:
        reader.run()
        with pytest.raises(RuntimeError):
            reader.run()
        assert reader.skipped() == [("00001", "", faulty_sound.NO_STREAM)]


def test_the_start_frame_is_given_where_the_original_left_it_unset(tmp_path):
    faulty_sound.check_start_frame(tmp_path, opened)


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_request_is_refused(name, tmp_path):
    faulty_sound.check_refuses(name, tmp_path, opened)


@pytest.mark.parametrize("name", ["logmel_frames", "logmel_filters", "logmel_winsize_ms", "logmel_winstep_ms"])
def test_an_argument_of_sound_is_no_argument_of_video_input(name, tmp_path):
    database = write(tmp_path / "db", [record("portrait.mp4", 1)])
    with pytest.raises(RuntimeError, match=f'VideoInput: there is no argument "{name}"'):
        Operator(database, {**BASE, name: 20}).run()
    with pytest.raises(RuntimeError, match=f"AVInput: {name}=0 must be at least 1"):
        Operator(database, {**BASE, "get_logmels": 1, name: 0}, operator=AV_INPUT).run()
