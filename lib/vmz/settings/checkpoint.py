"""Settings of the weights: a file, and how its blobs are fitted to the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from vmz.checkpoints.loading import DB_TYPES
from vmz.settings.kinds import switch
from vmz.settings.setting import Settings, setting


@dataclass(frozen=True)
class CheckpointSettings(Settings):
    """The file of weights, and how its blobs are fitted to the network."""

    load_model_path: Optional[str] = setting(None, "weights: a .pkl, of the zoo for one, or a .mdl of training", str)
    db_type: Optional[str] = setting(None, "format of --load_model_path; not given: its ending tells", str, DB_TYPES)
    center_init: int = setting(
        0, "1: 2-D weights go into the centre frame of 3-D ones, not in equal parts into each", switch
    )
    bgr2rgb: int = setting(0, "1: turn round the input channels of the first layer, for weights made on BGR", switch)
    allow_partial_load: int = setting(
        0, "1: go on though the file leaves blobs of the network at initial values", switch
    )
