"""The audio-visual networks' own module, whose function is not here: build_model builds them."""

from __future__ import annotations

from typing import Any

from vmz.errors import UsageError


def create_model(*arguments: Any, **named: Any) -> Any:
    """Raises UsageError, which names what to call instead."""
    raise UsageError(
        "models.audio_visual_model.create_model is not in VMZ; models.model_builder.build_model builds the "
        "audio-visual networks, with their losses"
    )
