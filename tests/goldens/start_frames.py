"""The first frames that the original returned for start frames (decode_type 2), and the clip to compare them in."""

from __future__ import annotations

import json
from typing import Any

from tests.goldens.recordings import golden_path

# VideoInput's arguments for a clip of one frame
FRAME: dict[str, Any] = {
    "batch_size": 1,
    "length_rgb": 1,
    "video_res_type": 0,
    "scale_h": 64,
    "scale_w": 64,
    "crop_size": 64,
    "random_crop": 0,
    "random_mirror": 0,
}


def recorded_first_frames() -> dict[str, Any]:
    """{video: what the original returned for each of its start frames}."""
    found: dict[str, Any] = json.loads(golden_path("reader/start_frame_map.json").read_text())
    return found
