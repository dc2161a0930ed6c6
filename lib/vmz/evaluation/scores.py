"""What becomes of scores: put together of several processes, summed up in figures, and kept (--save_scores)."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from vmz import metrics
from vmz.evaluation.config import EvaluationConfig
from vmz.results.figures import ClassFigure
from vmz.results.scores import HeadScores, Scores


def merge(parts: Sequence[Scores]) -> Scores:
    """The scores of several processes as one has them, in database order."""
    if len(parts) == 1:
        return parts[0]
    places = sorted(
        (record, part, row) for part, scores in enumerate(parts) for row, record in enumerate(scores.records)
    )
    return Scores(
        videos=[parts[part].videos[row] for _, part, row in places],
        labels=[parts[part].labels[row] for _, part, row in places],
        records=[record for record, _, _ in places],
        keys=[parts[part].keys[row] for _, part, row in places],
        clips=[parts[part].clips[row] for _, part, row in places if parts[part].clips],
        right=[parts[part].right[row] for _, part, row in places if parts[part].right],
        right_clips=sum(scores.right_clips for scores in parts),
        all_clips=sum(scores.all_clips for scores in parts),
        losses=[parts[part].losses[row] for _, part, row in places if parts[part].losses],
        video_ids=[parts[part].video_ids[row] for _, part, row in places if parts[part].video_ids],
        heads={
            head: HeadScores(
                [parts[part].heads[head].losses[row] for _, part, row in places],
                sum(scores.heads[head].right for scores in parts if scores.records),
            )
            for head in next((scores.heads for scores in parts if scores.records), {})
        },
    )


def summarise(scores: Scores, top_k: int, multi_label: bool) -> tuple[dict[str, float], list[ClassFigure]]:
    """The figures by name ("clip@1", "video@1", "video@5", or "mAUC", "mAP", ...), and one entry a class.

    Of fewer classes than `top_k` the last accuracy is video@classes, by that name.
    """
    videos, labels = np.stack(scores.videos), np.stack(scores.labels)
    if multi_label:
        found = metrics.multi_label(videos, labels)
        figures = {"mAUC": found.mauc, "mAP": found.map, "mWAP": found.mwap, "mAP_all": found.map_all}
        return figures, [*metrics.per_class_precision(labels, found.average_precision)]
    figures = {"clip@1": scores.right_clips / scores.all_clips, **metrics.video_figures(videos, labels, top_k)}
    return figures, [*metrics.per_class(videos, labels)]


def score_arrays(scores: Scores, config: EvaluationConfig, paths: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """What --save_scores writes: softmax or prob (clips, classes), label, key (and video_id) a clip, in database order.

    Also the run's aggregation and the path of its database, which tell what the figures were and whose the keys are.
    paths: of the videos, "" where one is not known; written too where one is.
    """
    rows = len(scores.clips[0])
    return {
        "prob" if config.multi_label else "softmax": np.concatenate(scores.clips),
        "label": np.repeat(np.stack(scores.labels), rows, axis=0),
        "key": np.repeat(np.array(scores.keys), rows),
        **({"path": np.repeat(np.array(paths), rows)} if any(paths) else {}),
        "aggregation": np.array(config.aggregation),
        "database": np.array(os.path.realpath(str(config.test_data))),
        **({"video_id": np.repeat(np.array(scores.video_ids, np.int64), rows)} if scores.video_ids else {}),
    }
