import numpy as np
import pytest

from vmz.audio.alignment import Place, write_log_mels
from vmz.audio.arguments import AudioArgs
from vmz.audio.log_mel import fft_size, log_mels, row_count, tuned_step_ms

ARGS = AudioArgs(get_logmels=1)


@pytest.mark.parametrize(("samples", "rows"), [(0, 0), (256, 0), (257, 1), (416, 1), (417, 2), (16000, 99)])
def test_a_window_is_taken_while_more_than_its_samples_are_left(samples, rows):
    assert row_count(samples, 256, 160) == rows
    assert log_mels(np.zeros(samples, np.float32), ARGS, 160).shape == (rows, 40)


def test_silence_is_exactly_zero_and_a_tone_is_loudest_in_its_filter():
    assert not log_mels(np.zeros(4000, np.float32), ARGS, 160).any()
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000).astype(np.float32)
    rows = log_mels(tone, ARGS, 160)
    assert rows.dtype == np.float32 and (rows.argmax(axis=1) == 13).all() and (rows >= 0).all()


def test_rows_do_not_depend_on_what_comes_after():
    noise = np.random.RandomState(0).randn(16000 * 30).astype(np.float32)
    assert (log_mels(noise, ARGS, 160)[:50] == log_mels(noise[: 160 * 60], ARGS, 160)[:50]).all()


def test_sizes():
    assert [fft_size(window) for window in (2, 3, 255, 256, 257)] == [2, 4, 256, 256, 512]
    assert tuned_step_ms(ARGS, 160000, 250, 8) == 4
    assert tuned_step_ms(ARGS, 160000, 0, 8) == 10


def clips(rows, count, place, args=ARGS):
    out = np.full((count, 1, args.logmel_frames, 1), np.nan, np.float32)
    write_log_mels(np.arange(rows, dtype=np.float32)[:, None], args, place, out)
    return out[:, 0, :, 0]


def test_short_sound_is_padded_with_zeros():
    found = clips(30, 1, Place(0, 8, 0, True))[0]
    assert found[:30].tolist() == list(range(30)) and not found[30:].any()
    assert not clips(0, 2, Place(50, 8, 0, True)).any()


def test_clips_are_spread_over_the_sound():
    found = clips(301, 3, Place(0, 8, 0, True))
    assert found[:, 0].tolist() == [0, 100, 201]
    assert found[:, -1].tolist() == [99, 199, 300]


def test_rows_are_stretched_to_the_frames_of_the_clip():
    found = clips(200, 1, Place(80, 8, 0, True))[0]  # 1000 rows of 200
    assert found[:3].tolist() == [0, 0, 0] and abs(found[99] - 19.4) < 0.01
    found = clips(200, 1, Place(80, 8, 40, False))[0]
    assert abs(found[0] - 99.6) < 0.01


@pytest.mark.parametrize(("align", "first", "start"), [(2, 40, 100), (3, 40, 60), (2, 90, 225), (3, 0, 0)])
def test_rows_begin_with_the_clip_or_around_its_middle(align, first, start):
    args = AudioArgs(get_logmels=1, align_audio=align)
    assert clips(250, 1, Place(100, 8, first, True), args)[0, 0] == start
