from __future__ import annotations

import numpy as np
import pytest

from vmz.errors import VmzError
from vmz.features.formats.table import ArrayTable
from vmz.features.sanity_check import clip_accuracy, sanity_figures


def test_the_accuracy_of_clips() -> None:
    softmax = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    table = ArrayTable({"softmax": softmax.reshape(5, 4, 1, 1, 1), "label": np.array([0, 1, 1, 3, 3], np.int32)})
    assert clip_accuracy(table) == 0.6
    with pytest.raises(VmzError, match="not one of the 4 classes"):
        clip_accuracy(ArrayTable({"softmax": softmax, "label": np.array([0, 1, 1, 3, 4], np.int32)}))


def test_the_ranking_of_clips_with_several_labels() -> None:
    scores = np.array([[0.9, 0.2, 0.5], [0.1, 0.8, 0.6], [0.3, 0.4, 0.7]], np.float32)
    labels = np.array([[1, 0, 1], [0, 1, 1], [1, 0, 0]], np.int32)
    table = ArrayTable({"prob": scores.reshape(3, 3, 1, 1, 1), "label": labels})
    found = sanity_figures(table, 2)
    assert found is not None and list(found) == ["AUC", "mAP", "mWAP"]
    assert found["AUC"] == pytest.approx((1 + 1 + 0) / 3)
    assert found["mAP"] == pytest.approx((1 + 1 + (1 / 2 + 2 / 3) / 2) / 3)
    assert found["mWAP"] == pytest.approx((2 * 1 + 1 * 1 + 2 * (1 / 2 + 2 / 3) / 2) / 5)
    assert sanity_figures(table, 0) is None
    with pytest.raises(VmzError, match="both have a column a class"):
        sanity_figures(ArrayTable({"prob": scores, "label": labels[:, :1]}), 2)
