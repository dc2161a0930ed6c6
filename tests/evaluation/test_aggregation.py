from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, top_k_accuracy_score

from vmz.errors import UsageError, VmzError
from vmz.evaluation.aggregation import CHUNK, aggregate_files, read_scores
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.scores import score_arrays, summarise
from vmz.results.figures import intervals
from vmz.results.scores import Scores

VIDEOS, CLIPS, CLASSES = CHUNK + 44, 3, 7


def kept(path: Path, first: int = 0, last: int = VIDEOS, multi_label: bool = False, **changes: Any) -> Path:
    """The scores of videos first to last of a run, as --save_scores keeps them; `changes`: arrays in place of its."""
    np.savez(path, **{**score_arrays(scored(first, last, multi_label), options(multi_label)), **changes})
    return path


def options(multi_label: bool, **changes: Any) -> EvaluationConfig:
    return EvaluationConfig(**{"multi_label": int(multi_label), "test_data": "/data/val", **changes})


def scored(first: int, last: int, multi_label: bool, aggregation: int = 0) -> Scores:
    """A run's scores of generated clips, in batches of 7 videos as an evaluation has them."""
    random = np.random.RandomState(0)
    clips = random.rand(VIDEOS, CLIPS, CLASSES).astype(np.float32)
    labels = random.randint(0, CLASSES, VIDEOS).astype(np.int32)
    if multi_label:
        labels = (random.rand(VIDEOS, CLASSES) < 0.3).astype(np.int32)
        labels[:, 2] = 0  # a class that no video has
    scores = Scores()
    for start in range(first, last, 7):
        rows = slice(start, min(start + 7, last))
        keys = [f"{number:05}" for number in range(rows.start, rows.stop)]
        scores.add(clips[rows], labels[rows], keys, aggregation, keep=True)
    return scores


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("aggregation", [0, 1])
def test_figures_are_the_runs_own(multi_label: bool, aggregation: int, tmp_path: Path) -> None:
    scores = scored(0, VIDEOS, multi_label, aggregation)
    figures, per_class = summarise(scores, 3, multi_label)
    arrays = score_arrays(scores, options(multi_label, aggregation=aggregation))
    np.savez_compressed(tmp_path / "scores.npz", **arrays)  # type: ignore[arg-type]
    found = aggregate_files([tmp_path / "scores.npz"], top_k=3)
    assert found.figures == figures and found.per_class == per_class
    assert found.aggregation == aggregation and found.clips_per_video == CLIPS
    assert np.array_equal(np.stack(found.scores.videos), np.stack(scores.videos))
    assert found.to_json()["intervals"] == {name: list(i) for name, i in intervals(figures, scores).items()}
    other = aggregate_files([tmp_path / "scores.npz"], 1 - aggregation, 3)
    assert other.figures == summarise(scored(0, VIDEOS, multi_label, 1 - aggregation), 3, multi_label)[0]
    assert other.figures != figures


def test_figures_are_scikit_learns(tmp_path: Path) -> None:
    scores = scored(0, VIDEOS, False)
    clips, labels = np.stack(scores.clips), np.stack(scores.labels)
    found = aggregate_files([kept(tmp_path / "a.npz")], aggregation=1, top_k=2)
    video = clips.max(axis=1)
    assert found.figures["video@1"] == pytest.approx(top_k_accuracy_score(labels, video, k=1))
    assert found.figures["video@2"] == pytest.approx(top_k_accuracy_score(labels, video, k=2))
    each = top_k_accuracy_score(np.repeat(labels, CLIPS), clips.reshape(-1, CLASSES), k=1)
    assert found.figures["clip@1"] == pytest.approx(each)
    scores = scored(0, VIDEOS, True)
    mean, labels = np.stack(scores.clips).mean(axis=1), np.stack(scores.labels)
    present = [label for label in range(CLASSES) if label != 2]
    found = aggregate_files([kept(tmp_path / "b.npz", multi_label=True)])
    precision = [average_precision_score(labels[:, c], mean[:, c]) for c in present]
    assert found.figures["mAP"] == pytest.approx(np.mean(precision))
    assert found.figures["mAP_all"] == pytest.approx(np.sum(precision) / CLASSES)
    assert found.figures["mAUC"] == pytest.approx(np.mean([roc_auc_score(labels[:, c], mean[:, c]) for c in present]))
    assert [entry.label for entry in found.per_class] == present


@pytest.mark.parametrize("multi_label", [False, True])
def test_shards_are_one_run(multi_label: bool, tmp_path: Path) -> None:
    whole = aggregate_files([kept(tmp_path / "whole.npz", multi_label=multi_label)])
    cuts = [0, 11, 12, 100, VIDEOS]
    parts = [kept(tmp_path / f"{a}.npz", a, b, multi_label) for a, b in zip(cuts, cuts[1:])]
    for order in (parts, parts[::-1]):
        found = aggregate_files(order)
        assert found.figures == pytest.approx(whole.figures, rel=1e-12) and found.per_class == whole.per_class
        assert len(found.files) == 4 and len(found.scores.keys) == VIDEOS


def test_one_video(tmp_path: Path) -> None:
    found = aggregate_files([kept(tmp_path / "one.npz", 4, 5, multi_label=True)])
    assert np.isnan(found.figures["mAUC"]) and found.figures["mAP"] == 1.0
    assert set(aggregate_files([kept(tmp_path / "one.npz", 4, 5)]).figures) == {"clip@1", "video@1", "video@5"}


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    first, again = kept(tmp_path / "first.npz", 0, 5), kept(tmp_path / "again.npz", 4, 9)
    with pytest.raises(UsageError, match=r"record 00004 is in .*first.npz and in .*again.npz; it would count twice"):
        aggregate_files([first, again])
    with pytest.raises(UsageError, match=r"record 00000 is in .*first.npz and in .*first.npz"):
        aggregate_files([first, first])
    elsewhere = kept(tmp_path / "elsewhere.npz", 4, 9, database=np.array("/data/other"))
    assert len(aggregate_files([first, elsewhere]).scores.keys) == 10  # keys are those of another database
    with pytest.raises(UsageError, match=r"prob of 7 classes for 3 clips a video, but .* softmax of 7"):
        aggregate_files([first, kept(tmp_path / "ml.npz", 5, 9, multi_label=True)])
    maximum = kept(tmp_path / "max.npz", 5, 9, aggregation=np.array(1))
    with pytest.raises(UsageError, match="some from a run with 1; choose one with --aggregation"):
        aggregate_files([first, maximum])
    assert aggregate_files([first, maximum], aggregation=1).aggregation == 1


KEYS = np.repeat(["a", "b"], 3)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"key": np.array(["a", "a", "b", "b", "a", "a"])}, "clips of record a in two places"),
        ({"key": np.array(["a", "b", "b", "b", "b", "b"])}, "5 clips of record b but 1 of record a"),
        ({"key": KEYS[:5]}, r"key has shape \(5,\)"),
        ({"label": np.array([0, 1, 0, 0, 0, 0])}, "several labels"),
        ({"label": np.full(6, 7)}, "labels are from 7 to 7, but softmax allows 0 to 6"),
        ({"label": np.zeros((6, 7), np.int32)}, r"label is int32 \(6, 7\)"),
        ({"label": np.zeros(6)}, "label is float64"),
        ({"softmax": np.zeros(6, np.float32)}, r"softmax is float32 \(6,\)"),
        ({"softmax": np.zeros((0, 7), np.float32)}, r"with a clip in it"),
        ({"prob": np.zeros((6, 7), np.float32)}, "lacks either array 'softmax' or array 'prob'"),
        ({"key": np.array([{}] * 6, dtype=object)}, "is not an .npz of scores"),
    ],
)
def test_bad_arrays_are_named(changes: dict[str, np.ndarray], named: str, tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"key": KEYS, **changes}
    path = kept(tmp_path / "scores.npz", 0, 2, **arrays)
    with pytest.raises(VmzError, match=named) as caught:
        read_scores(path)
    assert "scores.npz" in str(caught.value) and "\n" not in str(caught.value)


def test_scores_that_are_not_finite_are_named(tmp_path: Path) -> None:
    path = kept(tmp_path / "scores.npz", 0, 2, key=KEYS, softmax=np.full((6, 7), np.nan, np.float32))
    with pytest.raises(VmzError, match="scores of record a are not finite"):
        aggregate_files([path])


@pytest.mark.parametrize("kind", ["text", "empty", "cut", "array", "zip", "flipped"])
def test_what_is_no_npz_is_named(kind: str, tmp_path: Path) -> None:
    path = kept(tmp_path / "scores.npz")
    content = path.read_bytes()
    if kind == "array":
        with path.open("wb") as stream:
            np.save(stream, np.zeros(3))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "a")
    else:
        flipped = content[:200] + bytes([content[200] ^ 255]) + content[201:]
        path.write_bytes({"text": b"text", "empty": b"", "cut": content[:-100], "flipped": flipped}[kind])
    with pytest.raises(VmzError, match=r"scores\.npz (is not an \.npz|lacks)") as caught:
        read_scores(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="there is no file"):
        read_scores(tmp_path / "nowhere.npz")


def test_files_of_different_runs_are_not_put_together(tmp_path: Path) -> None:
    made = {"weights": "sha256 1", "crop_size": 112, "test_data": "1 records, sha256 a", "engine": "pytorch"}
    first = kept(tmp_path / "a.npz", 0, 10, made_by=np.array(json.dumps(made)))
    for changes, said in (
        ({"weights": "sha256 2"}, r"a.npz and \S+b.npz come from different runs \(weights: sha256 1, now sha256 2\)"),
        ({"crop_size": 224}, r"different runs \(crop_size: 112, now 224\)"),
        ({"test_data": made["test_data"]}, r"a.npz and \S+b.npz come from the same database"),
        ({"engine": "caffe2"}, ""),
        (None, ""),  # of before this was kept
    ):
        account = {**made, "test_data": "1 records, sha256 b", **(changes or {})}
        more: dict[str, Any] = {} if changes is None else {"made_by": np.array(json.dumps(account))}
        second = kept(tmp_path / "b.npz", 10, 20, **more)
        if said:
            with pytest.raises(UsageError, match=said):
                aggregate_files([first, second])
        else:
            assert len(aggregate_files([first, second]).scores.keys) == 20
    damaged = kept(tmp_path / "b.npz", 10, 20, made_by=np.array("{"))
    with pytest.raises(VmzError, match="is damaged: made_by"):
        aggregate_files([first, damaged])
