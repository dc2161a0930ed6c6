from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, top_k_accuracy_score

from vmz.metrics import MAXIMUM, aggregate, clip_losses, in_top_k, multi_label, per_class, video_figures, watched


def test_aggregate() -> None:
    scores = np.array([[[0.25, 0.75], [0.75, 0.0]]], np.float32)
    assert aggregate(scores).tolist() == [[0.5, 0.375]]
    assert aggregate(scores, MAXIMUM).tolist() == [[0.75, 0.75]]
    assert aggregate(scores).dtype == np.float32


def test_losses_are_those_of_training() -> None:
    import torch

    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(40, 6)).astype(np.float32), random.integers(0, 6, 40)
    softmax = torch.softmax(torch.from_numpy(logits), 1).numpy()
    wanted = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none")
    assert clip_losses(softmax, labels) == pytest.approx(wanted.numpy(), rel=1e-5)
    several = random.integers(0, 2, (40, 6))
    sigmoid = torch.sigmoid(torch.from_numpy(logits)).numpy()
    wanted = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits), torch.from_numpy(several.astype(np.float32)), reduction="none"
    ).mean(1)
    assert clip_losses(sigmoid, several) == pytest.approx(wanted.numpy(), rel=1e-5)
    assert np.isfinite(clip_losses(np.array([[0, 1]], np.float32), np.array([0]))).all()
    assert np.isfinite(clip_losses(np.array([[0, 1]], np.float32), np.array([[1, 0]]))).all()


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_is_scikit_learns(k: int) -> None:
    random = np.random.RandomState(0)
    scores, labels = random.rand(200, 7).astype(np.float32), random.randint(0, 7, 200)
    labels[:7] = range(7)
    assert in_top_k(scores, labels, k).mean() == pytest.approx(top_k_accuracy_score(labels, scores, k=k))


@pytest.mark.parametrize(("classes", "last"), [(7, "video@5"), (6, "video@5"), (5, "video@5"), (3, "video@3")])
def test_the_last_accuracy_has_the_name_of_what_it_is(classes: int, last: str) -> None:
    random = np.random.RandomState(0)
    scores, labels = random.rand(60, classes).astype(np.float32), random.randint(0, classes, 60)
    found = video_figures(scores, labels, 5)
    assert list(found) == ["video@1", last] and (found[last] == 1) == (classes <= 5)
    assert video_figures(scores[:, :1], np.zeros(60, int), 5) == {"video@1": 1.0}
    assert found["video@1"] == pytest.approx(np.mean(scores.argmax(axis=1) == labels))


def test_what_says_which_epoch_is_best() -> None:
    assert watched({"clip@1": 0, "video@1": 0, "video@5": 0}) == ("video@1", "clip@1")
    assert watched({"mAUC": 0, "mAP": 0, "mWAP": 0}) == ("mAP", "mAUC")
    assert watched({"video@1": 0}) == ("video@1",) and watched({}) == ()


def test_a_constant_classifier_is_right_on_class_0_only() -> None:
    scores, labels = np.full((3, 3), 1 / 3, np.float32), np.array([0, 1, 2])
    assert in_top_k(scores, labels, 1).tolist() == [True, False, False]


def test_per_class_counts_only_classes_that_are_there() -> None:
    scores = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0, 0.1, 0.9]], np.float32)
    found = per_class(scores, np.array([0, 1, 2]))
    assert [(c.label, c.videos, c.correct) for c in found] == [(0, 1, 1), (1, 1, 0), (2, 1, 1)]


def test_multi_label_is_scikit_learns_with_absent_classes_left_out() -> None:
    random = np.random.RandomState(1)
    scores, labels = random.rand(40, 6).astype(np.float32), (random.rand(40, 6) < 0.3).astype(np.int32)
    labels[:, 2] = 0  # absent: no AP
    labels[:, 4] = 1  # always there: no AUC
    found = multi_label(scores, labels)
    present = [0, 1, 3, 4, 5]
    precision = [average_precision_score(labels[:, c], scores[:, c]) for c in present]
    assert found.map == pytest.approx(np.mean(precision), abs=1e-12)
    assert found.map_all == pytest.approx(np.sum(precision) / 6, abs=1e-12)
    assert found.mwap == pytest.approx(
        average_precision_score(labels[:, present], scores[:, present], average="weighted")
    )
    assert found.mauc == pytest.approx(np.mean([roc_auc_score(labels[:, c], scores[:, c]) for c in (0, 1, 3, 5)]))
    assert np.isnan(found.average_precision[2])


def test_multi_label_of_one_video_and_of_no_label() -> None:
    one = multi_label(np.array([[0.9, 0.2]], np.float32), np.array([[1, 0]]))
    assert one.map == 1.0 and np.isnan(one.mauc)
    none = multi_label(np.array([[0.9, 0.2]], np.float32), np.array([[0, 0]]))
    assert np.isnan(none.map) and none.map_all == 0.0


def test_multi_label_of_one_video_and_of_equal_scores_is_scikit_learns() -> None:
    scores, labels = np.array([[0.9, 0.2, 0.4]], np.float32), np.array([[1, 0, 1]])
    one = multi_label(scores, labels)
    precision = [average_precision_score(labels[:, c], scores[:, c]) for c in (0, 2)]
    assert one.map == np.mean(precision) and one.map_all == np.sum(precision) / 3
    assert one.mwap == average_precision_score(labels[:, [0, 2]], scores[:, [0, 2]], average="weighted")
    assert np.isnan(one.mauc) and np.isnan(one.average_precision[1])
    random = np.random.RandomState(2)
    scores = np.round(random.rand(60, 4), 1).astype(np.float32)  # many equal ones
    labels = (random.rand(60, 4) < 0.4).astype(np.int32)
    found = multi_label(scores, labels)
    for average, value in (("macro", found.map), ("weighted", found.mwap)):
        assert value == pytest.approx(average_precision_score(labels, scores, average=average), abs=1e-12)
    assert found.average_precision == pytest.approx(average_precision_score(labels, scores, average=None), abs=1e-12)
    assert found.mauc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert found.map_all == found.map


def test_a_class_that_all_videos_have_counts_in_precision_only() -> None:
    scores, labels = np.array([[0.1, 0.3], [0.7, 0.2]], np.float32), np.array([[1, 0], [1, 1]])
    found = multi_label(scores, labels)
    assert found.average_precision.tolist() == [1.0, average_precision_score(labels[:, 1], scores[:, 1])]
    assert found.mauc == roc_auc_score(labels[:, 1], scores[:, 1]) == 0.0
