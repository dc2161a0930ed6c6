"""OpenCV, loaded by the first reader that needs it: for optical flow and for images, nothing else."""

from __future__ import annotations

import functools
from typing import Any

from vmz.extras import require


@functools.cache
def opencv() -> Any:
    """The module cv2. UsageError where it is not installed, or cannot be loaded."""
    return require("cv2", "flow", "the reading of optical flow and of image_as_input")
