"""What was published of the model that is being evaluated, and where this evaluation is another one."""

from __future__ import annotations

from typing import Optional

from vmz import zoo
from vmz.evaluation.config import EvaluationConfig
from vmz.results.data import Publication

# What decides a score; the rest of a published model's flags say what the network is.
_PROTOCOL_FLAGS = (
    "clip_per_video", "crop_per_clip", "aggregation", "clip_length_rgb", "sampling_rate_rgb", "crop_size", "scale_h",
    "scale_w", "video_res_type", "use_convolutional_pred", "use_pool1",
)  # fmt: skip


def published_account(config: EvaluationConfig) -> Optional[Publication]:
    """The published figures, the protocol they come from, and each flag that differs from it.

    None where nothing was published of the model. A value that was never published differs from nothing.
    """
    row = zoo.row_of(config.zoo, config.load_model_path)
    if row is None:
        return None
    wanted = {**row.flags, **zoo.published_test(row)}
    differences = [
        f"--{flag}={getattr(config, flag)} instead of {wanted[flag]}"
        for flag in _PROTOCOL_FLAGS
        if wanted.get(flag) is not None and getattr(config, flag) != wanted[flag]
    ]
    percents = {
        "clip@1": row.published.clip_top1,
        "video@1": row.published.video_top1,
        "video@5": row.published.video_top5,
    }
    return Publication(
        name=row.name,
        display_name=row.display_name,
        train_data=row.train_data,
        figures={name: value / 100 for name, value in percents.items() if value is not None},
        protocol=row.protocol,
        differences=differences,
        source=row.source,
        remarks=list(row.remarks),
    )
