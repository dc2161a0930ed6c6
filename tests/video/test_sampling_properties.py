"""What holds of sampling, scaling and cropping whatever the numbers are."""

from __future__ import annotations

import random

from vmz.video import sampling
from vmz.video.arguments import ORIGINAL_SIZE, SHORT_EDGE, VideoInputArgs

CASES = 1000


def chances() -> list[random.Random]:
    return [random.Random(number) for number in range(CASES)]


def test_uniform_clips_lie_within_the_video_and_rise() -> None:
    for chance in chances():
        needed = chance.randint(1, 300)
        frames = needed + chance.choice((0, 1, chance.randint(0, 500), chance.randint(0, 10**6)))
        clips = chance.randint(1, 40)
        starts = sampling.uniform_starts(frames, needed, clips)
        assert len(starts) == clips and starts == sorted(starts) and starts[0] == 0
        assert starts[-1] + needed <= frames
        if clips > 1:  # from end to end; float32 may round the last one down by a frame or, in millions, a few
            assert frames - needed - starts[-1] <= 1 + frames // 10**5
            gaps = {later - earlier for earlier, later in zip(starts, starts[1:])}
            assert max(gaps) - min(gaps) <= 1


def test_random_clips_lie_within_the_video() -> None:
    for chance in chances():
        frames, needed = chance.randint(1, 1000), chance.randint(1, 100)
        last = max(0, frames - needed)
        assert sampling.random_start(0.0, frames, needed) == 0
        assert sampling.random_start(1 - 2**-53, frames, needed) == last
        draw = chance.random()
        assert 0 <= sampling.random_start(draw, frames, needed) <= last
        fewer = chance.randint(needed, needed + frames)
        again = sampling.redrawn(draw, fewer + chance.randint(0, 50), fewer, needed)
        assert 0 <= again < 1 and sampling.random_start(again, fewer, needed) + needed <= max(fewer, needed)


def test_a_clip_needs_just_its_frames() -> None:
    for chance in chances():
        length, rate = chance.randint(1, 64), chance.randint(1, 8)
        more = chance.choice((0, chance.randint(1, 8)))
        args = VideoInputArgs(length_rgb=length, sampling_rate_rgb=rate, random_sampling_rate=more)
        taken = range(0, length * max(rate, more), max(rate, more))
        assert len(taken) == length and sampling.frames_needed(args) == taken[-1] + 1
        flow = VideoInputArgs(
            get_rgb=0, get_optical_flow=1, length_of=length, sampling_rate_of=rate, frame_gap_of=more or 1
        )
        pairs = [(start * rate, start * rate + (more or 1)) for start in range(length)]
        assert sampling.frames_needed(flow) == pairs[-1][1] + 1


def test_crops_lie_within_the_frame() -> None:
    for chance in chances():
        crop = chance.randint(1, 300)
        width, height = crop + chance.randint(0, 400), crop + chance.randint(0, 400)
        crops = chance.choice((1, 2, 3, 3, 5, 10))
        offsets = sampling.crop_offsets(width, height, crop, crops)
        assert len(offsets) == crops and offsets == sorted(offsets)
        assert all(0 <= top <= height - crop and 0 <= left <= width - crop for top, left in offsets)
        centre = ((height - crop) // 2, (width - crop) // 2)
        if crops % 2:
            assert offsets[crops // 2] == centre
        if crops > 1:  # from one end of the longer side to the other, in the middle of the shorter
            first, last = ((centre[0], 0), (centre[0], width - crop)) if height < width else (
                (0, centre[1]), (height - crop, centre[1]))  # fmt: skip
            assert (offsets[0], offsets[-1]) == (first, last)


def test_scaling_keeps_the_shape_and_leaves_room_for_the_crop() -> None:
    for chance in chances():
        width, height, edge = chance.randint(1, 4000), chance.randint(1, 4000), chance.randint(1, 600)
        new = sampling.scale_short_edge(width, height, edge)
        assert min(new) == edge and (new[0] < new[1]) <= (width < height)
        assert abs(max(new) - edge * max(width, height) / min(width, height)) <= 0.5 + max(new) * 1e-6
        for kind in (SHORT_EDGE, ORIGINAL_SIZE):
            args = VideoInputArgs(video_res_type=kind, crop_size=edge, short_edge=edge, length_rgb=1)
            size = sampling.output_size(args, width, height, edge)
            assert min(size) >= edge
            if kind == ORIGINAL_SIZE and min(width, height) >= edge:
                assert size == (width, height)


def test_times_of_frames_rise_and_lie_within_the_video() -> None:
    for chance in chances():
        frames, duration = chance.randint(1, 5000), chance.randint(1, 10**7)
        needed = chance.randint(1, frames)
        earlier, later = sorted(chance.choices(range(frames), k=2))
        times = [sampling.start_timestamp(duration, frames, number) for number in (earlier, later)]
        assert 0 <= times[0] <= times[1] < duration
        assert 0 <= sampling.latest_start(duration, frames, needed) <= duration
        assert all(0 <= sampling.seek_timestamp(duration, frames, time) <= time for time in times)
