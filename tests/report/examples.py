"""Evaluations made up for the pages: any number of classes, with all that a page can show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Optional

import numpy as np

from vmz.checkpoints.matching import Report
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.scores import summarise
from vmz.metrics import in_top_k
from vmz.netdef.analysis import Totals
from vmz.report.thumbnails import Strip, strip_of
from vmz.results.data import DataReport, ListAccount, Publication, Recipe
from vmz.results.evaluation import Evaluation
from vmz.results.scores import Scores
from vmz.video.faults import BadVideo

VERBS = [
    "playing", "washing", "throwing", "catching", "painting", "repairing", "carrying", "folding", "kicking", "opening",
    "juggling", "building", "cutting", "sharpening", "decorating", "balancing", "spinning", "polishing", "tying",
    "eating",
]  # fmt: skip
THINGS = [
    "violin", "dishes", "a frisbee", "a ball", "a wall", "a bicycle", "a child", "paper", "a can", "the door of a car",
    "knives", "a sandcastle", "watermelon", "pencils", "a cake", "plates", "a hoop", "shoes (leather, not suede)",
    "a tie", "spaghetti",
]  # fmt: skip


def class_names(classes: int) -> list[str]:
    """Short ones and long ones."""
    return [f"{VERBS[n % 20]} {THINGS[(n // 20 + n) % 20]}" for n in range(classes)]


def pictures(keys: Sequence[str]) -> Iterator[tuple[str, str, Callable[[], Optional[Strip]]]]:
    """A clip of a bright square that moves a key, but none for every seventh."""
    for number, key in enumerate(keys):
        yield (
            key,
            f"/data/kinetics/val/video_of_a_long_name_{key}_000012.mp4",
            partial(_square, number) if number % 7 < 6 else lambda: None,
        )


def _square(number: int) -> Strip:
    ground = np.random.default_rng(number).integers(40, 200, 3)
    frames = []
    for time in range(10):
        pixels = np.empty((132, 176, 3), np.uint8)
        pixels[...] = ground
        pixels[40:90, 12 * time : 12 * time + 50] = 255
        frames.append(pixels)
    return strip_of(frames)


def scores_of(keys: Sequence[str], videos: np.ndarray, labels: np.ndarray, clips: int = 10) -> Scores:
    """Scores float32 (videos, classes), and for clips as many that are right: `clips` - 3 of a video that is right."""
    found = Scores(videos=list(videos), labels=list(labels), keys=list(keys), all_clips=len(keys) * clips)
    if labels.ndim == 1:
        found.right = (in_top_k(videos, labels, 1) * (clips - 3)).tolist()
        found.right_clips = sum(found.right)
    return found


def scored(classes: int, videos_of_class: int, several_labels: bool = False, seed: int = 0) -> Scores:
    """Classes of growing difficulty, each confused with a neighbour most of all."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), videos_of_class)
    random.shuffle(labels)
    scores = random.gumbel(size=(len(labels), classes))
    rows = np.arange(len(labels))
    scores[rows, labels] += 3 + 6 * (classes - labels) / classes
    scores[rows, (labels + 1 + (labels % 3 == 0)) % classes] += 4 * random.random(len(labels))
    keys = [str(row) for row in rows]
    if several_labels:
        truth = np.zeros(scores.shape, np.int32)
        truth[rows, labels] = truth[rows, labels // 2] = 1
        return scores_of(keys, (1 / (1 + np.exp(3 - scores))).astype(np.float32), truth)
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores_of(keys, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), labels)


def evaluation(
    given: Scores, names: Optional[Sequence[str]] = None, healthy: bool = False, settings: Mapping[str, Any] = {}
) -> Evaluation:
    """What an evaluation finds out of them. healthy: with nothing to warn of. settings: beside those made up here."""
    several = given.labels[0].ndim == 1
    videos, classes = len(given.keys), len(given.videos[0])
    clips = given.all_clips // videos
    figures, per_class = summarise(given, 5, several)
    config = EvaluationConfig(
        **{
            "model_name": "r2plus1d", "model_depth": 18, "num_labels": classes, "clip_length_rgb": 8, "crop_size": 112,
            "sampling_rate_rgb": 1, "scale_h": 128, "scale_w": 171, "video_res_type": 0, "crop_per_clip": 1,
            "clip_per_video": clips, "aggregation": 0, "multi_label": int(several), "num_decode_threads": 4,
            "num_iter": 0, "test_data": "/data/kinetics/val_lmdb_of_30_frames_a_second",
            "load_model_path": "/models/r2.5d_d18_l8.pkl", **settings,
        }
    )  # fmt: skip
    return Evaluation(
        figures=figures,
        per_class=per_class,
        totals=Totals(20.7, 33.3, 1.0),
        videos=videos,
        clips_per_video=clips,
        skipped=[] if healthy else [
            BadVideo(str(n), f"/data/kinetics/val/bad_{n}.mp4", f"{n} frames, but 8 are needed") for n in range(13)
        ],
        ended_early=[],
        checkpoint=Report(
            copied=tuple(f"blob_{n}" for n in range(212)), adapted={"conv1_w": "repeated over 3 frames"}, missing=(),
            unused=("lr", "iter"), mismatched={},
        ),
        seconds={"load": 3.2, "run": 1234.5, "read": 702.0, "transfer": 21.0, "prepare": 4.0, "net": 490.0},
        scores=given,
        config=config,
        environment={"engine": "pytorch", "device": "cuda:0", "torch": "2.13.0", "python": "3.11.7"},
        data=data(videos, healthy),
        published=Publication(
            name="r2plus1d_d18_l8", display_name="R2.5D-18", train_data="Kinetics-400",
            figures={} if several else {"clip@1": 0.532, "video@1": 0.653, "video@5": 0.852},
            protocol="10_clips_centre_crop", differences=[] if healthy else ["--crop_size=128 instead of 112"],
            source="c2/tutorials/models.md:7",
        ),
        label_names=names,
    )  # fmt: skip


def data(videos: int, healthy: bool) -> DataReport:
    common: dict[str, Any] = {
        "database": "/data/kinetics/val_lmdb", "records": videos + 13, "sampled": 200,
        "recipe": Recipe("R2.5D-18", 15, "c2/tutorials/models.md:7", 256, "c2/tutorials/models.md:7", 128, 8),
    }  # fmt: skip
    if healthy:
        return DataReport(
            **common, unreadable=0, frame_rates={"15": 200}, short_sides={"320": 200}, lengths_s=[10.0, 10.0, 10.0],
            duplicates=[], contradictions=[], listed=None,
        )  # fmt: skip
    return DataReport(
        **common,
        unreadable=2,
        frame_rates={"30": 120, "29.97": 40, "25": 25, "24": 8, "23.98": 3, "15": 1, "60": 1},
        short_sides={"240": 180, "120": 18},
        lengths_s=[1.2, 10.0, 11.5],
        duplicates=[["3", "17"], ["20", "21", "22"]],
        contradictions=[["3", "17"]],
        listed=ListAccount(
            path="lists/kinetics_val.csv", rows=videos + 40, compared_by="content",
            missing=[(n + 2, f"/data/kinetics/val/missing_{n}.mp4") for n in range(27)], extra=[], relabelled=["9"],
        ),
        warnings=[
            "27 of the videos of lists/kinetics_val.csv are not in /data/kinetics/val_lmdb: first "
            "/data/kinetics/val/missing_0.mp4 (line 2); the figures cover only the others",
            "R2.5D-18 was published for videos of 15 frames a second (c2/tutorials/models.md:7), but 197 of 198 looked "
            "at have another rate, most often 30: a clip spans 0.5 times the time; re-encode them with ffmpeg -r 15",
        ],
    )  # fmt: skip
