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

    load_model_path: Optional[str] = setting(
        None, "file of weights: a .pkl, such as those of the zoo, or a .mdl written by training", str, metavar="FILE"
    )
    db_type: Optional[str] = setting(
        None, "format of --load_model_path; inferred from the file extension by default", str, DB_TYPES
    )
    center_init: int = setting(
        0, "1: put 2-D weights into the centre frame of 3-D weights, instead of spreading them over all frames", switch
    )
    bgr2rgb: int = setting(0, "1: reverse the input channels of the first layer, for weights trained on BGR", switch)
    allow_partial_load: int = setting(
        0, "1: continue although the file lacks blobs of the network, which keep their initial values", switch
    )
