"""Which file names are those of videos, what FFmpeg's containers are usually called, and of images."""

from __future__ import annotations

import os

_NAMES = """
    264 265 3g2 3gp asf avi divx dv f4v flv h264 h265 hevc ivf m1v m2t m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe mpeg mpg
    mts mxf ogm ogv qt rm rmvb ts vob webm wmv y4m
"""
VIDEO_SUFFIXES = frozenset(f".{name}" for name in _NAMES.split())


_IMAGES = "bmp jpe jpeg jpg png tif tiff webp"
IMAGE_SUFFIXES = frozenset(f".{name}" for name in _IMAGES.split())


def is_video_name(path: str) -> bool:
    """Whether the suffix is a video's, in either case."""
    return os.path.splitext(path)[1].lower() in VIDEO_SUFFIXES


def is_image_name(path: str) -> bool:
    """Whether the suffix is an image's, in either case."""
    return os.path.splitext(path)[1].lower() in IMAGE_SUFFIXES
