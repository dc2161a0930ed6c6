"""What VideoInput gives: its outputs in their order, with the argument that asks for each.

The operator for Caffe2 has the same list, and after it what it reports to its engine (ops/caffe2/video_input_op.cc).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional


class VideoOutput(NamedTuple):
    """name: also that of the field of vmz.video.reader.Batch. argument: which asks for it, None: it is always there.

    default: the argument's. each_video: it has a row a video, not a row a clip and crop.
    """

    name: str
    argument: Optional[str]
    default: int = 0
    each_video: bool = False

    def is_asked(self, arguments: Mapping[str, Any]) -> bool:
        """Whether VideoInput with these arguments, by their operator names, gives it."""
        return self.argument is None or bool(arguments.get(self.argument, self.default))


CLIPS, FLOW, LABEL = "data", "flow", "label"
VIDEO_ID, START_FRAME, RECORD_INDEX = "video_id", "start_frame", "record_index"
VIDEO_OUTPUTS = (
    VideoOutput(CLIPS, "get_rgb", default=1),
    VideoOutput(FLOW, "get_optical_flow"),
    VideoOutput(LABEL, None),
    VideoOutput(VIDEO_ID, "get_video_id"),
    VideoOutput(START_FRAME, "get_start_frame"),
    VideoOutput(RECORD_INDEX, "get_record_index", each_video=True),
)
FLOW_CHANNELS = {0: 2, 1: 3, 2: 3, 3: 5}  # by flow_data_type: dx, dy; and the magnitude; and gray; and R, G, B
ARGUMENT_OF = {output.name: output.argument for output in VIDEO_OUTPUTS if output.argument is not None}


def asked_outputs(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what VideoInput with these arguments gives, in order."""
    return tuple(output.name for output in VIDEO_OUTPUTS if output.is_asked(arguments))


def network_inputs(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The blobs, in order, that a VideoInput with these arguments fills in front of a network, which looks at the first
    of them: the blob `data`, be it colours or flow."""
    return (CLIPS, *asked_outputs(arguments)[1:])
