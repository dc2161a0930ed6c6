"""Settings of the evaluation after an epoch of training."""

from __future__ import annotations

from dataclasses import dataclass

from vmz.settings.kinds import Integer, not_negative
from vmz.settings.setting import Settings, setting
from vmz.video.arguments import MOST as READER_MOST


@dataclass(frozen=True)
class EpochTestSettings(Settings):
    """How a network is tested between epochs."""

    test_clip_per_video: int = setting(
        10, "number of clips per video in the evaluation after an epoch", Integer(1, READER_MOST["clip_per_video"])
    )
    test_batch_size: int = setting(
        6, "number of videos per batch in the evaluation after an epoch", Integer(1, READER_MOST["batch_size"])
    )
    test_num_iter: int = setting(0, "number of batches of that evaluation (the original: 100); 0: all", not_negative)
    test_every: int = setting(
        1, "number of epochs between two evaluations; the last epoch is always evaluated", Integer(1, 1 << 20)
    )
    top_k: int = setting(
        5,
        "k of the top-k accuracy; at most the number of classes",
        Integer(1, 1 << 20),
        metavar="K",
    )
