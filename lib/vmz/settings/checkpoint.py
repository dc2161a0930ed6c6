"""Settings of the weights: a file, and how its blobs are fitted to the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from vmz.checkpoints.loading import DB_TYPES, load
from vmz.checkpoints.matching import Report
from vmz.models.registry import Model
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

    def fitted_weights(self, model: Model, new_head: bool = False) -> tuple[dict[str, np.ndarray], Report]:
        """What --load_model_path, which must be given, holds for a network: as Checkpoint.fit gives it.

        new_head: the classifier may stay new, for fine-tuning. Raises what `load` and Checkpoint.fit raise.
        """
        return load(str(self.load_model_path), self.db_type).fit(
            model,
            center_init=bool(self.center_init),
            bgr2rgb=bool(self.bgr2rgb),
            new_head=new_head,
            allow_partial=bool(self.allow_partial_load),
        )
