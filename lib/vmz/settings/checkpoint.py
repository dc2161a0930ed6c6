"""Settings of the weights: a file, and how its blobs are fitted to the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from vmz.checkpoints.loading import DB_TYPES, Checkpoint
from vmz.checkpoints.matching import Report
from vmz.layouts.loading import load
from vmz.models.registry import Model
from vmz.settings.kinds import Number, switch
from vmz.settings.setting import Settings, setting


@dataclass(frozen=True)
class CheckpointSettings(Settings):
    """The file of weights, and how its blobs are fitted to the network."""

    load_model_path: Optional[str] = setting(
        None,
        "weights: a .pkl, such as those of the zoo, a .mdl written by training, a .pth or .safetensors, also of other "
        "libraries (vmz convert --help), the folder of a saved model, or hf-hub:org/name",
        str,
        metavar="FILE",
    )
    db_type: Optional[str] = setting(
        None, "format of --load_model_path; inferred from the file extension by default", str, DB_TYPES
    )
    eps: Optional[float] = setting(
        None,
        "epsilon of the batch norms that the weights of another library are for, where the file does not say it",
        Number(1e-12, 1),
    )
    center_init: int = setting(
        0, "1: put 2-D weights into the centre frame of 3-D weights, instead of spreading them over all frames", switch
    )
    bgr2rgb: int = setting(0, "1: reverse the input channels of the first layer, for weights trained on BGR", switch)
    allow_partial_load: int = setting(
        0, "1: continue although the file lacks blobs of the network, which keep their initial values", switch
    )

    def fitted_weights(self, model: Model, new_head: bool = False) -> tuple[dict[str, np.ndarray], Report]:
        """What --load_model_path, which must be given, holds for a network: as Checkpoint.fit gives it.

        new_head: the classifier may stay new, for fine-tuning. Raises what `load` and Checkpoint.fit raise.
        """
        return self.fitted(self.read(), model, new_head)

    def read(self) -> Checkpoint:
        """--load_model_path, which must be given. Raises what `load` raises."""
        return load(str(self.load_model_path), self.db_type, self.eps)

    def fitted(self, found: Checkpoint, model: Model, new_head: bool = False) -> tuple[dict[str, np.ndarray], Report]:
        """`fitted_weights` of a file that was read."""
        return found.fit(
            model,
            center_init=bool(self.center_init),
            bgr2rgb=bool(self.bgr2rgb),
            new_head=new_head,
            allow_partial=bool(self.allow_partial_load),
        )
