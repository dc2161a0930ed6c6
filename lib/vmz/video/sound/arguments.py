"""The arguments of the AVInput operator: VideoInput's, and those of the log-mels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vmz.audio.arguments import AudioArgs
from vmz.errors import UsageError
from vmz.netdef.net_parts import AV_INPUT
from vmz.video.arguments import IGNORED, VideoInputArgs

# What the original's AVInput takes and does not do, and the value with which it is no difference.
_WITHOUT_EFFECT = {"get_optical_flow": 0, "random_sampling_rate": 0, "image_as_input": 0}


@dataclass(frozen=True)
class AVInputArgs(AudioArgs, VideoInputArgs):
    """One field per operator argument. Clips are given with get_rgb=1 only, log-mels with get_logmels=1."""

    operator: ClassVar[str] = AV_INPUT
    ignored: ClassVar[frozenset[str]] = IGNORED - {"get_logmels"}

    get_rgb: int = 0  # its default

    @property
    def hears(self) -> bool:
        return bool(self.get_logmels)

    def check(self) -> None:
        for name, fixed in _WITHOUT_EFFECT.items():
            if getattr(self, name) != fixed:
                raise UsageError(
                    f"{name}={getattr(self, name)} is not possible with sound (AVInput); set {name}={fixed}"
                )
        if self.clip_start_positions:
            raise UsageError(
                f"clip_start_positions={list(self.clip_start_positions)} is not possible with sound (AVInput)"
            )
        if self.crop_per_clip > 1 and not self.get_rgb:
            raise UsageError(
                f"crop_per_clip={self.crop_per_clip} needs pictures, of which crops are taken; set crop_per_clip=1"
            )
        self.check_audio()
        if self.audio_timestamps and self.original_start_faults:
            raise UsageError("audio_timestamps=1 does not go with original_start_faults=1; set one of them to 0")
        super().check()


def reader_arguments(values: Mapping[str, Any], operator: str) -> VideoInputArgs:
    """The arguments of VideoInput or of AVInput by operator names, checked. Raises UsageError."""
    return (AVInputArgs if operator == AV_INPUT else VideoInputArgs).from_mapping(values)
