from __future__ import annotations

import pytest

from tests.engines.real_caffe2 import without_caffe2
from vmz.engines.registry import open_engine
from vmz.errors import UsageError


@pytest.mark.parametrize(
    ("name", "device", "says"),
    [
        ("tensorflow", "cpu", "unknown engine 'tensorflow'; the engines are pytorch, caffe2"),
        pytest.param("caffe2", "cpu", "use --engine=pytorch", marks=without_caffe2),
        ("pytorch", "tpu", "unknown device 'tpu'"),
        ("pytorch", "cuda:99", "device cuda:99 is not available: PyTorch sees"),
        ("pytorch", "cuda:x", "unknown device 'cuda:x'"),
    ],
)
def test_what_is_not_there_is_said_in_one_sentence(name: str, device: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_engine(name, device)
    assert says in str(caught.value)


def test_closing_twice_is_harmless() -> None:
    with open_engine("pytorch", "cpu") as engine:
        engine.close()
    assert engine.blobs() == []
    with pytest.raises(UsageError, match="call load first"):
        engine.run()
