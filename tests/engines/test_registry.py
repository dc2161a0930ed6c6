from __future__ import annotations

import pytest

from vmz.engines.registry import chosen_engine, default_engine
from vmz.errors import UsageError


@pytest.mark.parametrize(
    ("value", "chosen", "default"),
    [(None, None, "pytorch"), ("", None, "pytorch"), ("caffe2", "caffe2", "caffe2"), ("pytorch", "pytorch", "pytorch")],
)
def test_the_environment_chooses_the_default(
    value: str, chosen: str, default: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VMZ_ENGINE", raising=False)
    if value is not None:
        monkeypatch.setenv("VMZ_ENGINE", value)
    assert (chosen_engine(), default_engine()) == (chosen, default)


def test_a_bad_value_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMZ_ENGINE", "tensorflow")
    with pytest.raises(UsageError, match="variable VMZ_ENGINE is 'tensorflow'; choose from: pytorch, caffe2"):
        default_engine()
