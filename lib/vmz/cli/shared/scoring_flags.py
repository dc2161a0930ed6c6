"""The flags that predict and serve have alike: the engine, the network, how clips are drawn, the weights."""

from __future__ import annotations

from collections.abc import Collection

from vmz.cli.shared.options import add_config_flags, add_own, add_settings
from vmz.cli.shared.parser import Parser
from vmz.settings.checkpoint import CheckpointSettings
from vmz.settings.inference import InferenceSettings
from vmz.settings.network import NetworkSettings
from vmz.settings.reader import ReaderSettings, ViewSettings
from vmz.settings.setting import Settings, settings_of


def add_scoring_flags(parser: Parser, config: type[Settings], not_here: Collection[str]) -> None:
    """Give `parser` these flags, behind its own. not_here: settings that single videos have no use for."""
    add_settings(parser, "engine", InferenceSettings)
    for title, owner in (("network", NetworkSettings), ("data", ReaderSettings), ("data: views", ViewSettings)):
        add_settings(parser, title, owner, names=[name for name in settings_of(owner) if name not in not_here])
    add_settings(parser, "weights", CheckpointSettings)
    add_own(parser, "tests of VMZ", config, ("random_weights",))
    add_config_flags(parser)
