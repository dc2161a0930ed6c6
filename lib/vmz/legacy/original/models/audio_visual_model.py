"""The audio-visual networks, which are not here yet: asking for one says so."""

from __future__ import annotations

from typing import Any

from vmz.errors import UsageError
from vmz.models.registry import MODEL_NAMES


def create_model(*arguments: Any, **named: Any) -> Any:
    """Raises UsageError: no audio-visual network can be built."""
    raise not_here(str(named.get("model_name", arguments[1] if len(arguments) > 1 else "audio_visual_model")))


def is_audio(model_name: Any) -> bool:
    """Whether a name is one of the audio-visual family."""
    return str(model_name).startswith(("a_resnet", "av_resnet"))


def not_here(model_name: Any) -> UsageError:
    """The error for a network, or for Gradient-Blending, of the audio-visual family."""
    what = str(model_name) if is_audio(model_name) else f"{model_name} with g_blend"
    return UsageError(f"{what} is an audio-visual network, which VMZ cannot build; it builds {', '.join(MODEL_NAMES)}")
