"""Settings of the reader: which videos, and how clips are drawn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.errors import UsageError
from vmz.settings.kinds import Integer, not_negative, switch
from vmz.settings.setting import Settings, setting
from vmz.video.arguments import MOST as READER_MOST
from vmz.video.frames.watch import VIDEO_TIMEOUT

# Arguments of VideoInput that the original has not, with the operator's defaults: its nets have no such ones, so that
# they are written only where they are others.
BEYOND_THE_ORIGINAL = {
    **dict.fromkeys(("max_frames", "autorotate", "original_start_faults", "image_as_input"), 0),
    "video_timeout": VIDEO_TIMEOUT,
}


@dataclass(frozen=True)
class FlowSettings(Settings):
    """Whether the network sees RGB or optical flow, and which flow."""

    input_type: int = setting(
        0, "what the network sees, 0: RGB, 1: optical flow. (2: audio and 3: both are not here yet)", int, (0, 1)
    )
    clip_length_of: int = setting(
        8,
        "flows of a clip (as the four below, of effect with --input_type=1 only)",
        Integer(1, READER_MOST["length_of"]),
    )
    sampling_rate_of: int = setting(2, "a flow from every n-th frame on", Integer(1, READER_MOST["sampling_rate_of"]))
    frame_gap_of: int = setting(
        2, "frames from the first to the second of a flow", Integer(1, READER_MOST["frame_gap_of"])
    )
    do_flow_aggregation: int = setting(
        0, "1: chain the flows of neighbours across the gap; 0: one flow across it", switch
    )
    flow_data_type: int = setting(
        0,
        "channels of the flow, 0: dx, dy; 1: and |dx|+|dy|; 2: and the first frame in gray; 3: and its R, G, B "
        "(--num_channels 2, 3, 3, 5)",
        int,
        (0, 1, 2, 3),
    )

    @property
    def sees_flow(self) -> bool:
        return self.input_type == 1


@dataclass(frozen=True)
class ReaderSettings(FlowSettings):
    """The database, and how frames are read, scaled and sampled."""

    test_data: Optional[str] = setting(None, "LMDB of videos, as create_video_db.py makes it", str)
    scale_h: int = setting(
        128, "height to resize to; the short edge is min(scale_h, scale_w)", Integer(1, READER_MOST["scale_h"])
    )
    scale_w: int = setting(171, "width to resize to", Integer(1, READER_MOST["scale_w"]))
    video_res_type: int = setting(
        0,
        "0: resize to scale_w x scale_h whatever the aspect; 1: resize the short edge; 2: no resizing",
        int,
        (0, 1, 2),
    )
    sampling_rate_rgb: int = setting(1, "every n-th frame", Integer(1, READER_MOST["sampling_rate_rgb"]))
    num_decode_threads: int = setting(
        4, "threads that decode ahead of the net", Integer(1, READER_MOST["num_decode_threads"])
    )
    use_local_file: int = setting(0, "the LMDB holds paths of videos, not their bytes", switch)
    image_as_input: int = setting(
        0,
        "1: the LMDB holds images, each a clip of one frame (--clip_length_rgb=1 --clip_per_video=1, for r2d and r2df)",
        switch,
    )
    on_bad_video: str = setting(
        "stop",
        "a video that cannot be decoded: stop with an error, or skip it, out of the counts",
        str,
        ("stop", "skip"),
    )
    video_timeout: int = setting(
        VIDEO_TIMEOUT,
        "seconds that a video may go without a new frame before it counts as one that cannot be decoded; 0: any",
        not_negative,
    )
    max_frames: int = setting(0, "frames read of a video at most; 0: all of them, 10000: as the original", not_negative)
    autorotate: int = setting(
        0, "1: turn frames as the video's metadata ask, as players do; the original does not", switch
    )
    original_start_faults: int = setting(
        0,
        "1: find start frames and draw random clips as the original did, by the stated duration: other frames "
        "where times do not begin at 0, vary or are cut by an edit list, and the first where none is stated "
        "(.mkv)",
        switch,
    )

    @property
    def database(self) -> str:
        """The database that is read. Raises UsageError where none is given."""
        if not self.test_data:
            raise UsageError("--test_data is not given; it takes an LMDB of videos, as create_video_db.py makes it")
        return self.test_data


@dataclass(frozen=True)
class ViewSettings(Settings):
    """How many clips and crops of a video, and how many videos at a time."""

    clip_per_video: int = setting(10, "clips a video, evenly spaced", Integer(1, READER_MOST["clip_per_video"]))
    crop_per_clip: int = setting(
        1, "crops a clip, along the longer side; 1: the centre", Integer(1, READER_MOST["crop_per_clip"])
    )
    batch_size: int = setting(
        6,
        "videos a batch (clips a batch: times clip_per_video and crop_per_clip)",
        Integer(1, READER_MOST["batch_size"]),
    )
