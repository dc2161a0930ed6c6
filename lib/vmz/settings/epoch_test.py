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
        10, "clips a video in the evaluation after an epoch", Integer(1, READER_MOST["clip_per_video"])
    )
    test_batch_size: int = setting(
        6, "videos a batch in the evaluation after an epoch", Integer(1, READER_MOST["batch_size"])
    )
    test_num_iter: int = setting(
        0, "stop that evaluation after so many batches (the original: 100); 0: all", not_negative
    )
    test_every: int = setting(
        1, "epochs from one evaluation to the next; the last epoch always has one", Integer(1, 1 << 20)
    )
    top_k: int = setting(
        5,
        "k of the accuracy in the top k; at most the number of classes, and named for what it is",
        Integer(1, 1 << 20),
    )
