"""What VideoInput and AVInput give: their outputs in order, with the argument that asks for each.

The operators for Caffe2 have the same lists, and after them what they report to their engine (ops/caffe2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from vmz.netdef.net_parts import AV_INPUT, VIDEO_INPUT


class VideoOutput(NamedTuple):
    """name: also that of the field of vmz.video.reader.Batch. argument: which asks for it, None: it is always there.

    default: the argument's. each_video: it has a row a video, not a row a clip and crop.
    """

    name: str
    argument: Optional[str]
    default: int = 0
    each_video: bool = False

    def is_asked(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the operator with these arguments, by their operator names, gives it."""
        return self.argument is None or bool(arguments.get(self.argument, self.default))


CLIPS, FLOW, LOGMELS, LABEL = "data", "flow", "logmels", "label"
VIDEO_ID, START_FRAME, RECORD_INDEX = "video_id", "start_frame", "record_index"
VIDEO_OUTPUTS = (
    VideoOutput(CLIPS, "get_rgb", default=1),
    VideoOutput(FLOW, "get_optical_flow"),
    VideoOutput(LABEL, None),
    VideoOutput(VIDEO_ID, "get_video_id"),
    VideoOutput(START_FRAME, "get_start_frame"),
    VideoOutput(RECORD_INDEX, "get_record_index", each_video=True),
)
AV_OUTPUTS = (
    VideoOutput(CLIPS, "get_rgb"),
    VideoOutput(LOGMELS, "get_logmels"),
    *(output for output in VIDEO_OUTPUTS if output.name not in (CLIPS, FLOW)),
)
OUTPUTS = {VIDEO_INPUT: VIDEO_OUTPUTS, AV_INPUT: AV_OUTPUTS}  # by operator
ALL_OUTPUTS = tuple({output.name: output for outputs in OUTPUTS.values() for output in outputs}.values())
ARGUMENT_OF = {output.name: output.argument for output in ALL_OUTPUTS if output.argument is not None}

RGB, OPTICAL_FLOW, SOUND, RGB_AND_SOUND = 0, 1, 2, 3  # input_type: what a network takes of them
WITH_RGB, HEARING = (RGB, RGB_AND_SOUND), (SOUND, RGB_AND_SOUND)
FLOW_CHANNELS = {0: 2, 1: 3, 2: 3, 3: 5}  # by flow_data_type: dx, dy; and the magnitude; and gray; and R, G, B


def asked_outputs(arguments: Mapping[str, Any], operator: str = VIDEO_INPUT) -> tuple[str, ...]:
    """The names of what the operator with these arguments gives, in order."""
    return tuple(output.name for output in OUTPUTS[operator] if output.is_asked(arguments))


def network_inputs(arguments: Mapping[str, Any], operator: str = VIDEO_INPUT) -> tuple[str, ...]:
    """The blobs, in order, that the operator with these arguments fills in front of a network, which looks at the first
    of them: the blob `data`, be it colours, flow or, of a network that only hears, log-mels."""
    return (CLIPS, *asked_outputs(arguments, operator)[1:])
