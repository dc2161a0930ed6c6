"""OpenCV, loaded by the first reader that needs it: for optical flow and for images, nothing else."""

from __future__ import annotations

import functools
from typing import Any

from vmz.errors import UsageError


@functools.cache
def opencv() -> Any:
    """The module cv2. UsageError where it is not installed, or cannot be loaded."""
    try:
        import cv2
    except ImportError as error:
        raise UsageError(
            f"optical flow and image_as_input need OpenCV, which cannot be loaded ({error}); install it with: "
            "pip install opencv-python-headless"
        ) from error
    return cv2
