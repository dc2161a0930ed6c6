"""A label that the network lacks: the first record with one is named, whatever met it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmz.errors import LabelError, VmzError
from vmz.evaluation.config import EvaluationConfig
from vmz.evaluation.records import naming_foreign_labels
from vmz.video.database.lmdb_database import DatabaseWriter
from vmz.video.database.records import Record


@pytest.fixture
def path(tmp_path: Path) -> str:
    with DatabaseWriter(tmp_path / "db") as writer:
        for number, label in enumerate((0, 7, 9)):
            writer.write(Record(b"%d" % number, b"a video", (label,)))
    return str(tmp_path / "db")


def test_the_first_record_with_such_a_label_is_named(path: str) -> None:
    config = EvaluationConfig(test_data=path, num_labels=5)
    said = r"record .*1 of .*db.* has label 7, but --num_labels=5 allows 0 to 4; check --num_labels"
    with pytest.raises(LabelError, match=said), naming_foreign_labels(path, config, config):
        raise LabelError("label 9 is not one of the 5 classes")


def test_another_failure_that_speaks_of_labels_passes_as_it_is(path: str) -> None:
    config = EvaluationConfig(test_data=path, num_labels=5)
    with pytest.raises(VmzError, match=r"^the softmax of no label$"), naming_foreign_labels(path, config, config):
        raise VmzError("the softmax of no label")


def test_where_no_record_has_one_the_engines_error_stays(path: str) -> None:
    config = EvaluationConfig(test_data=path, num_labels=10)
    with pytest.raises(LabelError, match=r"^label 9 of what was fed$"), naming_foreign_labels(path, config, config):
        raise LabelError("label 9 of what was fed")
