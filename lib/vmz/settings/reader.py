"""Settings of the reader: which videos, and how clips are drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

from vmz.errors import UsageError
from vmz.netdef.net_parts import AV_INPUT, VIDEO_INPUT
from vmz.netdef.video_outputs import HEARING, OPTICAL_FLOW, RGB, RGB_AND_SOUND, SOUND
from vmz.settings.kinds import Integer, not_negative, switch
from vmz.settings.setting import Settings, setting
from vmz.video.arguments import MOST as READER_MOST
from vmz.video.frames.watch import VIDEO_TIMEOUT

# Arguments of VideoInput that the original has not, with the operator's defaults: its nets have no such ones, so that
# they are written only where they are others.
BEYOND_THE_ORIGINAL = {
    **dict.fromkeys(("max_frames", "fps", "autorotate", "original_start_faults", "image_as_input"), 0),
    "video_timeout": VIDEO_TIMEOUT,
}
SOUND_BEYOND_THE_ORIGINAL = {"on_missing_audio": "zeros", "audio_timestamps": 0}  # those of AVInput


DATA_WANTED = "give an LMDB created by create_video_db.py, a list of videos (.csv), or a folder of class folders"


@dataclass(frozen=True)
class Listed:
    """Data that is no LMDB. database: the LMDB of its paths, as long as the run lasts. classes: see VideoList."""

    database: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlowSettings(Settings):
    """Whether the network sees RGB or optical flow or hears sound, and which flow."""

    input_type: int = setting(
        RGB,
        "input of the network. 0: RGB; 1: optical flow; 2: the log-mels of the sound; 3: RGB and log-mels",
        int,
        (RGB, OPTICAL_FLOW, SOUND, RGB_AND_SOUND),
    )
    clip_length_of: int = setting(
        8,
        "number of flow fields of a clip; this and the next four flags apply to --input_type=1 only",
        Integer(1, READER_MOST["length_of"]),
    )
    sampling_rate_of: int = setting(
        2, "compute a flow field at every n-th frame", Integer(1, READER_MOST["sampling_rate_of"])
    )
    frame_gap_of: int = setting(
        2, "number of frames between the two frames of a flow field", Integer(1, READER_MOST["frame_gap_of"])
    )
    do_flow_aggregation: int = setting(
        0, "1: chain the flow of neighbouring frames across the gap; 0: compute one flow field across it", switch
    )
    flow_data_type: int = setting(
        0,
        "channels of the flow. 0: dx, dy; 1: also |dx|+|dy|; 2: also the first frame in gray; 3: dx, dy and the "
        "first frame in RGB. Set --num_channels to 2, 3, 3 or 5",
        int,
        (0, 1, 2, 3),
    )

    @property
    def sees_flow(self) -> bool:
        return self.input_type == OPTICAL_FLOW

    @property
    def hears(self) -> bool:
        return self.input_type in HEARING

    @property
    def reader_operator(self) -> str:
        """The operator that reads such clips."""
        return AV_INPUT if self.hears else VIDEO_INPUT


@dataclass(frozen=True)
class SoundSettings(Settings):
    """How the sound of videos is read."""

    on_missing_audio: str = setting(
        "zeros",
        "what to do with a video whose sound is missing or cannot be decoded: give zeros for it, as the original, and "
        "count it; stop with an error; or skip the video; with --input_type=2 and 3 only",
        str,
        ("zeros", "stop", "skip"),
    )
    audio_timestamps: int = setting(
        0,
        "1: place the sound by the times that the file states; 0: it begins with the first frame, as in the original; "
        "with --input_type=2 and 3 only",
        switch,
    )


@dataclass(frozen=True)
class ReaderSettings(SoundSettings, FlowSettings):
    """The database, and how frames are read, scaled and sampled."""

    test_data: Optional[str] = setting(
        None,
        "videos: an LMDB created by create_video_db.py, a list of paths and labels (.csv), or a folder of class "
        "folders (<class>/<video>)",
        str,
        metavar="DATA",
    )
    scale_h: int = setting(
        128, "height to resize to; the short edge is min(scale_h, scale_w)", Integer(1, READER_MOST["scale_h"])
    )
    scale_w: int = setting(171, "width to resize to", Integer(1, READER_MOST["scale_w"]))
    video_res_type: int = setting(
        0,
        "0: resize to scale_w x scale_h, whatever the aspect ratio; 1: resize the short edge; 2: no resizing",
        int,
        (0, 1, 2),
    )
    sampling_rate_rgb: int = setting(1, "use every n-th frame", Integer(1, READER_MOST["sampling_rate_rgb"]))
    num_decode_threads: int = setting(
        4,
        "number of threads that decode videos ahead of the network",
        Integer(1, READER_MOST["num_decode_threads"]),
    )
    use_local_file: int = setting(
        0, "1: the LMDB stores paths of videos, not their bytes (a list or a folder always does)", switch
    )
    image_as_input: int = setting(
        0,
        "1: the database stores images, each a clip of one frame (--clip_length_rgb=1 --clip_per_video=1, for "
        "r2d and r2df)",
        switch,
    )
    on_bad_video: str = setting(
        "stop",
        "what to do with a video that cannot be decoded: stop with an error, or skip it and leave it out of the counts",
        str,
        ("stop", "skip"),
    )
    video_timeout: int = setting(
        VIDEO_TIMEOUT,
        "seconds without a new frame after which a video counts as one that cannot be decoded; 0: no limit",
        not_negative,
    )
    max_frames: int = setting(
        0, "largest number of frames read from a video; 0: no limit, 10000: as the original", not_negative
    )
    fps: int = setting(
        0,
        "resample videos to this number of frames per second: at each n-th of a second the last frame shown by then; "
        "start frames and --max_frames count these frames. 0: every frame, as the original",
        Integer(0, READER_MOST["fps"]),
    )
    autorotate: int = setting(
        0, "1: rotate frames as the video's metadata states, as players do; the original does not", switch
    )
    original_start_faults: int = setting(
        0,
        "1: find start frames and draw random clips as the original did, from the stated duration. Frames differ "
        "where timestamps do not begin at 0, vary or are cut by an edit list; the first frame is used where no "
        "duration is stated (.mkv)",
        switch,
    )

    # Data that is no LMDB, by its name, once a run has made a database of it (vmz.datasets.listed_data).
    listed: Mapping[str, Listed] = field(default_factory=dict, repr=False, compare=False)

    @property
    def database(self) -> str:
        """The LMDB that is read. Raises UsageError where no data is given."""
        if not self.test_data:
            raise UsageError(f"--test_data is not given; {DATA_WANTED}")
        return self.database_of(self.test_data)

    @property
    def local_files(self) -> int:
        """1 where the database holds paths of videos: as --use_local_file says, and always where it is of a list."""
        return self.local_files_of(self.test_data)

    def database_of(self, data: str) -> str:
        """The LMDB behind --test_data or --train_data."""
        return self.listed[data].database if data in self.listed else data

    def local_files_of(self, data: Optional[str]) -> int:
        """`local_files` of --test_data or --train_data."""
        return 1 if data in self.listed else self.use_local_file


@dataclass(frozen=True)
class AggregationSettings(Settings):
    """How the scores of a video's clips become the video's."""

    aggregation: int = setting(0, "score of a video from its clips. 0: mean; 1: maximum", int, (0, 1))


@dataclass(frozen=True)
class ViewSettings(Settings):
    """How many clips and crops of a video, and how many videos at a time."""

    clip_per_video: int = setting(
        10, "number of clips per video, evenly spaced", Integer(1, READER_MOST["clip_per_video"])
    )
    crop_per_clip: int = setting(
        1,
        "number of crops per clip, along the longer side; 1: the centre crop",
        Integer(1, READER_MOST["crop_per_clip"]),
    )
    batch_size: int = setting(
        6,
        "number of videos per batch (a batch has clip_per_video x crop_per_clip times as many clips)",
        Integer(1, READER_MOST["batch_size"]),
    )
