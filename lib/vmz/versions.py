"""The versions of what computes: VMZ, PyTorch, numpy, PyAV and its FFmpeg, Python, and whether there is Caffe2."""

from __future__ import annotations

import importlib.util
import platform

from vmz import __version__


def versions() -> dict[str, str]:
    """Of what decides results, as they are kept with them. Imports PyTorch and PyAV."""
    import av
    import numpy as np
    import torch

    return {
        "vmz": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "pyav": str(av.__version__),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def versions_line() -> str:
    """What --version prints."""
    import av

    found = versions()
    ffmpeg = getattr(av, "ffmpeg_version_info", "unknown")
    caffe2 = "with Caffe2" if importlib.util.find_spec("caffe2") is not None else "without Caffe2"
    return (
        f"vmz {found['vmz']} (torch {found['torch']}, {caffe2}; PyAV {found['pyav']}, FFmpeg {ffmpeg}; numpy "
        f"{found['numpy']}; Python {found['python']}, {found['machine']})"
    )
