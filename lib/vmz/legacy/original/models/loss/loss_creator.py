"""add_loss: scores and loss on top of logits, on the caller's model."""

from __future__ import annotations

from typing import Any

from vmz.engines.caffe2_engine.helper_net import HelperNet
from vmz.engines.caffe2_engine.programs import program_logger
from vmz.models.heads import Scoring, score

log = program_logger("loss_creator")

POSITIONS = 2  # of the map behind the convolutional head, 2 x 2, as at crop 256; the original knows no other


def add_loss(
    model: Any,
    last_out: Any,
    multi_label: Any,
    use_convolutional_pred: Any,
    num_labels: int,
    batch_size: int,
    loss_scale: float,
    use_softmax_loss: Any = False,
    loss_prefix: str = "",
) -> Any:
    """Add scores (`softmax` or `prob`), accuracy and loss for the blob `label`. Returns the scaled loss.

    None for the fully convolutional head. use_softmax_loss: with multi_label, the cross entropy of a softmax instead of
    a sigmoid for each label. loss_prefix: of the names of losses.
    """
    scoring = Scoring(
        num_labels=int(num_labels),
        multi_label=bool(multi_label),
        convolutional=bool(use_convolutional_pred),
        loss_scale=float(loss_scale),
        batch_size=int(batch_size),
        positions=POSITIONS,
        softmax_loss=bool(use_softmax_loss),
        prefix=loss_prefix,
    )
    return score(HelperNet(model, is_test=True), last_out, scoring).loss
