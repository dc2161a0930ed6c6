"""What a loaded model is: its network, how clips for it are drawn, its weights and what runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.clips import ClipSettings
from vmz.settings.inference import InferenceSettings
from vmz.settings.reader import AggregationSettings
from vmz.settings.resolution import TESTING, ProtocolSettings, Use
from vmz.settings.setting import changed


@dataclass(frozen=True)
class ModelSettings(ClipSettings, InferenceSettings, CheckpointSettings, ProtocolSettings):
    """The settings of test_net that say how a video becomes scores. `resolved` takes them from checkpoint and zoo."""

    aggregation: int = changed(AggregationSettings, "aggregation", 0)

    @classmethod
    def use(cls, flags: Mapping[str, Any]) -> Use:
        return TESTING
