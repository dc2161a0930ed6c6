"""Settings of clips for a network: the network, the reader and the views of a video together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vmz.settings.network import NetworkSettings, video_input_arguments
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.video.arguments import VideoInputArgs
from vmz.video.sound.arguments import reader_arguments


@dataclass(frozen=True)
class ClipSettings(NetworkSettings, ReaderSettings, ViewSettings):
    """A network, and how clips for it are drawn from a database."""

    @property
    def rows(self) -> int:
        """Rows of a batch that a video has: its clips times their crops."""
        return self.clip_per_video * self.crop_per_clip

    def reader_arguments(self) -> dict[str, Any]:
        """The reader's arguments of a test net (see `video_input_arguments`)."""
        return video_input_arguments(self, self, self)

    def reader_args(self, **changes: Any) -> VideoInputArgs:
        """The same, checked, for what reads them here. changes: by their operator names. Raises UsageError."""
        return reader_arguments({**self.reader_arguments(), **changes}, self.reader_operator)
