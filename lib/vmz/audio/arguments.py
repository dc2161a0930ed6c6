"""What AVInput has beyond VideoInput: the log-mels of a video's sound, by the operator's names, checked."""

from __future__ import annotations

from dataclasses import dataclass

from vmz.errors import UsageError

NO_ALIGNMENT, STRETCHED, AT_START, CENTRED = 0, 1, 2, 3  # align_audio

_RANGES = {
    "logmel_frames": (1, 1 << 16),
    "logmel_filters": (1, 4096),
    "logmel_winsize_ms": (1, 10000),
    "logmel_winstep_ms": (1, 10000),
    "logmel_audio_sr": (1000, 384000),
    "audio_length": (0, 1 << 24),
}
_CHOICES: dict[str, tuple[object, ...]] = {
    "get_logmels": (0, 1),
    "align_audio": (NO_ALIGNMENT, STRETCHED, AT_START, CENTRED),
    "tune_audio_step": (0, 1),
    "audio_timestamps": (0, 1),
    "on_missing_audio": ("zeros", "stop", "skip"),
}


@dataclass(frozen=True)
class AudioArgs:
    """One field per operator argument, flags as 0 or 1. Names that end in _ms: milliseconds."""

    get_logmels: int = 0
    logmel_frames: int = 100  # rows of a clip's log-mels
    logmel_filters: int = 40  # columns
    logmel_winsize_ms: int = 16
    logmel_winstep_ms: int = 10
    logmel_audio_sr: int = 16000  # samples a second
    align_audio: int = STRETCHED
    audio_length: int = 0  # frames that the rows cover with align_audio 2 and 3; 0: as many as they last
    tune_audio_step: int = 0
    # Ours
    on_missing_audio: str = "zeros"  # or "stop": an error of the video; or "skip": leave the video out and list it
    audio_timestamps: int = 0  # 1: sound lies where its timestamps say; the original ignores them

    @property
    def window(self) -> int:
        """Samples of a window."""
        return self.samples(self.logmel_winsize_ms)

    def samples(self, milliseconds: int) -> int:
        """How many samples last so long."""
        return milliseconds * self.logmel_audio_sr // 1000

    def check_audio(self) -> None:
        """Raise UsageError, naming the argument, for every value that the operator cannot do."""
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if value < least:
                raise UsageError(f"{name}={value} must be at least {least}")
            if value > most:
                raise UsageError(f"{name}={value} must be at most {most}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name}={getattr(self, name)} must be one of {', '.join(map(str, allowed))}")
        if self.window < 2:
            raise UsageError(
                f"logmel_winsize_ms={self.logmel_winsize_ms} is less than 2 samples at "
                f"logmel_audio_sr={self.logmel_audio_sr}"
            )
